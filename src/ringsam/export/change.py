"""What an adaptation changed in SAM's weights, and the low ranks that come nearest to it."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import SamModel

State = dict[str, Tensor]


class Factors(NamedTuple):
    """Of a linear module: `b @ a` is added to its weight, `bias` to its bias."""

    b: Tensor  # (out, rank)
    a: Tensor  # (rank, in)
    bias: Tensor  # (out,)


@dataclass(frozen=True)
class Change:
    """By module: singular vectors and values of each linear weight's change, and the names of norms and convolutions that moved.

    Position tables belong to modules with parts of their own, which an adapter cannot keep: they are in neither.
    """

    before: State
    after: State
    linear: dict[str, tuple[Tensor, Tensor, Tensor]]
    whole: list[str]

    @classmethod
    def between(cls, original: SamModel, after: State) -> "Change":
        before = original.state_dict()
        moved = {n.rpartition(".")[0] for n in before if not torch.equal(before[n], after[n])}
        leaves = {n: m for n, m in original.named_modules() if n in moved and not [*m.children()]}
        linear = sorted(name for name, module in leaves.items() if isinstance(module, nn.Linear))
        changes = {name: after[f"{name}.weight"] - before[f"{name}.weight"] for name in linear}
        parts = {n: torch.linalg.svd(c, full_matrices=False) for n, c in changes.items()}
        return cls(before, after, parts, sorted(leaves.keys() - set(linear)))

    def rank_of(self, energy: float) -> int:
        """The smallest rank that keeps this share of the squared change of all linear weights."""
        values = [part[1].double().square() for part in self.linear.values()]
        squares = nn.utils.rnn.pad_sequence(values).sum(dim=1)
        kept = squares.cumsum(0) / squares.sum()
        return min(int((kept < energy).sum()) + 1, len(squares))

    def factors(self, name: str, rank: int) -> Factors:
        """Nearest to the weight's change of all of this rank; zeros beyond the weight's own rank. The bias is exact."""
        left, values, right = self.linear[name]
        root, more = values[:rank].sqrt(), max(0, rank - len(values))
        b, a = left[:, :rank] * root, root[:, None] * right[:rank]
        bias = self.after[f"{name}.bias"] - self.before[f"{name}.bias"]
        return Factors(F.pad(b, (0, more)), F.pad(a, (0, 0, 0, more)), bias)

    def part_of(self, module: str) -> State:
        """The adapted weights of a module, under its own names."""
        prefix = f"{module}."
        return {n.removeprefix(prefix): w for n, w in self.after.items() if n.startswith(prefix)}

    def applied(self, rank: int) -> State:
        """The original weights with everything that an adapter of this rank keeps."""
        state = dict(self.before)
        for name in self.linear:
            b, a, bias = self.factors(name, rank)
            state[f"{name}.weight"] = self.before[f"{name}.weight"] + b @ a
            state[f"{name}.bias"] = self.before[f"{name}.bias"] + bias
        for module in self.whole:
            state |= {f"{module}.{name}": weight for name, weight in self.part_of(module).items()}
        return state

"""What the faults befall: a drawn data set, a tiny SAM, and runs of seconds in which every step moves the weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.models import tiny_sam
from benchmarks.shifted import write_set
from pretrain.pile import coloured_pile
from ringsam.runs import RunFolder
from ringsam.sam.model import Sam
from ringsam.sam.weights import save_folder

# Rates that move weights of a SAM that knows nothing; the last so little that it is not told to stop.
RECIPES = {
    "seed": ("--recipe", "seed", "--method.entropy_thresh", 0.7, "--optim.lr_encoder", 1e-3),
    "best": ("--recipe", "best", "--data.held_out", 0, "--optim.lr_encoder", 1e-4),
    "best, images held out": (
        "--recipe",
        "best",
        "--data.held_out",
        0.2,
        "--optim.lr_encoder",
        2e-7,
    ),
}


class Outcome(NamedTuple):
    """What became of the work after a fault."""

    went_on: bool
    same: bool  # as if nothing had happened, to the last bit
    lost: int = 0  # things that were finished and are gone
    left_over: int = 0  # files that nobody clears away
    note: str = ""

    @property
    def sound(self) -> bool:
        return self.went_on and self.same and not self.lost and not self.left_over


@dataclass(frozen=True)
class Subject:
    """Where they lie."""

    data: Path
    sam: Path

    @classmethod
    def drawn(cls, folder: Path, *, num_images: int) -> "Subject":
        """Made anew in this folder."""
        made = cls(folder / "data", folder / "sam")
        write_set(made.data, coloured_pile, num_images, 3, seed=5)
        save_folder(Sam(tiny_sam()), made.sam)
        return made

    def train(self, out: Path, recipe: str, *more: object, num_epochs: int) -> list[object]:
        """The command that trains on it."""
        flags = ("--out", out, "--weights", self.sam, "--epochs", num_epochs, *RECIPES[recipe])
        return ["train", self.data, *flags, "--hardware.accelerator", "cpu", *more]


class Left(NamedTuple):
    """What a run that ended leaves: its weights, and the figures of its log but for the time they took."""

    weights: dict[str, Tensor]
    figures: list[dict[str, float]]

    @classmethod
    def of(cls, out: Path) -> "Left":
        """Raises OSError where it did not come so far."""
        folder = RunFolder(out)
        figures = [{**row, "seconds": 0.0} for row in folder.read_epochs()]
        return cls(load_file(folder.adapted / "model.safetensors"), figures)

    def same_as(self, other: "Left") -> bool:
        """To the last bit."""
        return self.figures == other.figures and self.has_weights(other.weights)

    def has_weights(self, weights: dict[str, Tensor]) -> bool:
        names = self.weights.keys()
        return names == weights.keys() and all(
            torch.equal(self.weights[name], weights[name]) for name in names
        )

"""Several processes as one run: who is first, whether all mean the same, and what is said where one is missing."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

import lightning as L
import torch
import torch.distributed as dist

from ringsam.config import Config, settings
from ringsam.errors import GaveUp, InputError
from ringsam.method.ranks import sum_over_ranks
from ringsam.runs import RunFolder

_WIDTH = 128  # bytes of what a rank says of itself


def is_first_rank() -> bool:
    """Whether no launcher told this process, by the environment, that it is another."""
    names = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in names)


class SameOnEveryRank(L.Callback):
    """Before any training, raises InputError on every rank where one has other versions or settings than the first."""

    def __init__(self, config: Config) -> None:
        digest = hashlib.sha256(repr(settings(config)).encode()).hexdigest()[:8]
        self.own = (
            f"ringsam {metadata.version('ringsam')}, torch {torch.__version__}, settings {digest}"
        )

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        device = trainer.strategy.root_device
        table = torch.zeros(trainer.world_size, _WIDTH, dtype=torch.long, device=device)
        own = torch.tensor(list(self.own.encode()[:_WIDTH]), device=device)
        table[trainer.global_rank, : len(own)] = own
        told = [bytes(row).rstrip(b"\0").decode() for row in sum_over_ranks(table).tolist()]
        rows = [
            f"rank {i}: {text}; rank 0: {told[0]}" for i, text in enumerate(told) if text != told[0]
        ]
        if rows:
            mend = "install the same versions everywhere and give every rank the same flags"
            raise InputError(f"{len(rows)} rank(s) differ from the first; {mend}:", rows)


@contextmanager
def ranks_that_answer(trainer: L.Trainer, folder: RunFolder, *, timeout_s: float) -> Iterator[None]:
    """Turns a rank that does not come, or is lost, into a sentence: InputError before the first step, GaveUp after it."""
    began = time.monotonic()
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        waited, reason = time.monotonic() - began, str(error).splitlines()[0]
        own = f"rank {os.environ.get('RANK', trainer.global_rank)} of {trainer.world_size}"
        if trainer.global_step == 0:
            place = ":".join(os.environ.get(name, "?") for name in ("MASTER_ADDR", "MASTER_PORT"))
            raise InputError(
                f"{own} waited {waited:.0f} s for the others at {place} (MASTER_ADDR:MASTER_PORT): {reason}; "
                "start as many processes as --hardware.devices and --hardware.num_nodes say, with a free port"
            ) from error
        raise GaveUp(
            f"{own}: another rank was lost, or said nothing for {timeout_s:.0f} s: {reason}; look at its own output, "
            f"then go on with `ringsam resume {folder.path}`"
        ) from error

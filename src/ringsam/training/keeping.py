"""When checkpoints are written: after each epoch, and where a signal ends the run."""

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Checkpoint

from ringsam.errors import Interrupted
from ringsam.method.ranks import num_ranks, sum_over_ranks
from ringsam.training.checkpoint import checkpoints_in, is_within_epoch, remove_checkpoint

KEPT = 2  # of an epoch's end: the newest, and the one before it should the newest be damaged


class Checkpoints(Checkpoint):
    """One after each epoch; SIGINT or SIGTERM has one written after the optimizer step at hand, then ends the run.

    A second signal ends the process at once. Every rank stops after the same step, whichever of them was told.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signal_number = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():  # no other may
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._note)  # Lightning puts the old ones back

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        progress = trainer.fit_loop.epoch_loop.batch_progress
        within_a_step = progress.current.ready % trainer.accumulate_grad_batches
        if within_a_step or progress.is_last_batch:
            return  # soon: gradients of half a step are in no checkpoint, and an epoch's end makes its own
        if number := self._told(trainer):
            epoch, step = trainer.current_epoch, trainer.global_step
            self._save(trainer, f"epoch={epoch:04d}-step={step:08d}.ckpt")
            raise self._interrupted(number)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if number := self._told(trainer):
            raise self._interrupted(number)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._save(trainer, f"epoch={trainer.current_epoch:04d}.ckpt")

    def _save(self, trainer: L.Trainer, name: str) -> None:
        trainer.save_checkpoint(self.folder / name)
        if trainer.is_global_zero:
            for old in outdated(checkpoints_in(self.folder), newest=self.folder / name):
                remove_checkpoint(old)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number:
            os._exit(128 + number)
        self.signal_number = number

    def _told(self, trainer: L.Trainer) -> int:
        """The signal that any rank was sent; 0 if none."""
        if num_ranks() == 1:
            return self.signal_number  # without waiting for the device
        device = trainer.strategy.root_device
        numbers = torch.zeros(signal.NSIG, dtype=torch.long, device=device)
        numbers[self.signal_number] = 1
        told = sum_over_ranks(numbers)[1:].nonzero()
        return int(told[0]) + 1 if len(told) else 0

    def _interrupted(self, number: int) -> Interrupted:
        return Interrupted(number, f"go on with `ringsam resume {self.folder.parent}`")


def outdated(checkpoints: list[Path], *, newest: Path) -> list[Path]:
    """Which of them, the oldest first, are not needed beside the newest: one within an epoch serves until the next, those of
    an epoch's end serve where no other can (damaged, other batches), and later ones are of a course that was left."""
    if newest not in checkpoints:  # the disk took it not
        return []
    whole = [path for path in checkpoints if path <= newest and not is_within_epoch(path)]
    kept = {newest, *whole[-KEPT:]}
    return [path for path in checkpoints if path not in kept]

"""What happens when a loss or a gradient is no number: the step is left out; three in a row go back, three more end the run."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor

from ringsam.batch import Batch
from ringsam.errors import GaveUp
from ringsam.files import replaced
from ringsam.runs import RunFolder
from ringsam.training.module import AdaptationModule, on_cpu
from ringsam.training.optim import start_again_at_half_rate

IN_A_ROW = 3


class NonFiniteSteps(L.Callback):
    """Goes back to the weights at the epoch's start, at half the rate, once in a run; then ends it with a capture that replays."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.went_back = False
        self.good: dict[str, dict[str, Tensor]] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._keep(pl_module)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._keep(pl_module)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        assert isinstance(pl_module, AdaptationModule)
        if pl_module.not_finite_in_a_row < IN_A_ROW:
            return
        pl_module.not_finite_in_a_row = 0
        if self.went_back:
            self._give_up(trainer, pl_module, pl_module.suspect or batch)
        self._go_back(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        return {"went_back": self.went_back}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.went_back = state_dict["went_back"]

    def _keep(self, module: L.LightningModule) -> None:
        assert isinstance(module, AdaptationModule)
        self.good = _learned(module)

    def _go_back(self, trainer: L.Trainer, module: AdaptationModule) -> None:
        self.went_back = True
        module.adaptation.load_learned(self.good)
        start_again_at_half_rate(trainer.optimizers, trainer.lr_scheduler_configs)
        if trainer.is_global_zero:
            print(
                f"{IN_A_ROW} steps in a row had a loss or gradient that is not finite: back to the weights "
                f"at the start of epoch {trainer.current_epoch + 1}, at half the rate",
                flush=True,
            )

    def _give_up(self, trainer: L.Trainer, module: AdaptationModule, batch: Batch) -> None:
        path = self.folder.path / f"not_finite_rank{trainer.global_rank}.pt"
        write_capture(path, module, batch, epoch=trainer.current_epoch)
        raise GaveUp(
            f"{self.folder.path}: {IN_A_ROW} steps in a row again had a loss or gradient that is not finite, "
            f"at half the rate too; {path.name} holds the batch and the weights and replays with "
            f"ringsam.training.replay; look at its images, lower --optim.lr_encoder, or train in 32 bits"
        )


def write_capture(path: Path, module: AdaptationModule, batch: Batch, *, epoch: int) -> None:
    """All that a step depends on beyond the run's settings and its original SAM."""
    content = {
        "batch": {f.name: getattr(batch.to("cpu"), f.name) for f in fields(batch)},
        "epoch": epoch,
        **_learned(module),
    }
    with replaced(path) as unfinished:
        torch.save(content, unfinished)


def _learned(module: AdaptationModule) -> dict[str, dict[str, Tensor]]:
    """A copy of all that training changes."""
    return {part: on_cpu(held) for part, held in module.adaptation.learned().items()}

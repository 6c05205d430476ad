"""The thin layer between the method and Lightning's loop: call the step, log it, return the loss."""

from collections.abc import Callable, Mapping
from typing import Any

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from ringsam.batch import Batch
from ringsam.config import OptimConfig
from ringsam.draws import Draws
from ringsam.errors import InputError
from ringsam.method.adaptation import Adaptation, StepOutput
from ringsam.method.ranks import num_ranks, sum_over_ranks
from ringsam.training.loader import num_optimizer_steps
from ringsam.training.optim import finite_gradients, parameter_groups, schedule, take_rates


class AdaptationModule(L.LightningModule):
    """Adaptation in Lightning's hooks."""

    def __init__(
        self, adaptation: Adaptation, optim: OptimConfig, *, seed: int, fused: bool = True
    ) -> None:
        super().__init__()
        self.adaptation = adaptation
        self.optim = optim
        self.seed = seed
        self.fused = fused
        self.strict_loading = False  # the frozen SAM is not repeated in checkpoints
        # Since the last optimizer step: had any batch something to teach, was every loss finite?
        self._signal = False
        self._finite = True
        # Optimizer steps in a row, for who watches the run; a batch whose loss was not finite
        self.silent_in_a_row = self.not_finite_in_a_row = 0
        self.suspect: Batch | None = None

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        output = self.adaptation.step(batch, Draws(self.seed, self.current_epoch))
        finite = bool(sum_over_ranks((~output.loss.detach().isfinite()).long()) == 0)
        self._signal = self._signal or output.signal
        self._finite = self._finite and finite
        self.suspect = self.suspect if finite else batch
        self._log("mean", output.terms, weight=len(batch.images))
        self._log("mean", self.adaptation.monitor(output), weight=batch.num_objects)
        self._log("sum", ledger(output), weight=1)
        return output.loss

    def _log(self, reduce: str, figures: Mapping[str, Tensor], *, weight: int) -> None:
        self.log_dict(
            dict(figures),
            on_step=False,
            on_epoch=True,
            sync_dist=True,
            reduce_fx=reduce,
            batch_size=weight,
        )

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """A step without signal, or with a NaN, must not step: without gradients AdamW leaves all as it is."""
        # In 16 bits infinite gradients are how the scale is found, and the scaler leaves such steps out
        if self.trainer.precision != "16-mixed":
            self._finite = self._finite and finite_gradients(optimizer)
        once = 1 / num_ranks()  # a step is one step, on however many ranks
        counts = {
            "num_steps": once,
            "num_steps_without_signal": 0.0 if self._signal else once,
            "num_steps_not_finite": 0.0 if self._finite else once,
        }
        self._log("sum", _on_device(counts, self.device), weight=1)
        if not (self._signal and self._finite):
            optimizer.zero_grad(set_to_none=True)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if self._signal and self._finite:
            self.adaptation.update_teacher()
        self.silent_in_a_row = 0 if self._signal else self.silent_in_a_row + 1
        self.not_finite_in_a_row = 0 if self._finite else self.not_finite_in_a_row + 1
        self.suspect = None if self._finite else self.suspect
        self._signal, self._finite = False, True

    def on_train_epoch_start(self) -> None:
        teacher = self.adaptation.teacher
        assert not any(module.training for module in teacher.modules())
        assert not any(weight.requires_grad for weight in teacher.parameters())

    def configure_optimizers(self) -> Any:
        optimizer = AdamW(parameter_groups(self.adaptation, self.optim), fused=self.fused)
        num_steps = num_optimizer_steps(self.trainer)
        factor = schedule(self.adaptation.config.kept, num_steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Only what learns: the seed's keys `sam_image_encoder` and `proj`, and the teacher."""
        checkpoint |= {"state_dict": {}, **self.adaptation.learned()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        load_towers(self.adaptation, checkpoint)
        take_rates(checkpoint, parameter_groups(self.adaptation, self.optim))


def ledger(output: StepOutput) -> dict[str, Tensor]:
    """What a batch had to learn from, as counts that add up over the batches of an epoch and over ranks."""
    counts = {
        "num_objects": output.batch.num_objects,
        "entropy_sum": output.pseudo.entropy.sum(),
    }
    if contrast := output.contrast:
        counts |= {
            "num_trusted": output.pseudo.trusted.sum(),
            "num_anchors": len(contrast.anchors),
            "num_missed": contrast.num_missed,
            "num_spurious": contrast.num_spurious,
            "num_background": contrast.num_background,
        }
    return _on_device(counts, output.loss.device)


def _on_device(counts: Mapping[str, Any], device: torch.device) -> dict[str, Tensor]:
    return {k: torch.as_tensor(v, dtype=torch.float, device=device) for k, v in counts.items()}


def load_towers(adaptation: Adaptation, checkpoint: dict[str, Any]) -> None:
    """Put a checkpoint's encoder, head and teacher in place. Raises InputError where it does not fit the settings."""
    own = adaptation.learned()
    learned = {part: checkpoint[part] for part in own}
    for part, held in own.items():
        if _shapes(held) != _shapes(learned[part]):
            raise InputError(
                f"the checkpoint has other weights in `{part}` than config.yaml says; put config.yaml back as it was"
            )
    adaptation.load_learned(learned)


def on_cpu(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy."""
    return {name: weight.detach().to("cpu", copy=True) for name, weight in weights.items()}


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in weights.items()}

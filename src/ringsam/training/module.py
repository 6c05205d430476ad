"""The thin layer between the method and Lightning's loop: call the step, log it, return the loss."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import lightning as L
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from ringsam.batch import Batch, Sample, collate
from ringsam.config import OptimConfig
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation, StepOutput


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
        self._signal = (
            False  # whether any batch since the last optimizer step had something to teach
        )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        output = self.adaptation.step(batch, Draws(self.seed, self.current_epoch))
        self._signal |= output.signal
        self.log_dict(
            {**output.terms, **self.adaptation.monitor(batch, output)},
            on_step=False,
            on_epoch=True,
            sync_dist=True,
            batch_size=len(batch.images),
        )
        self.log_dict(
            ledger(batch, output), on_step=False, on_epoch=True, sync_dist=True, reduce_fx="sum"
        )
        return output.loss

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """A step without signal must not step: without gradients AdamW leaves weights and moments alone."""
        if not self._signal:
            optimizer.zero_grad(set_to_none=True)

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        if self._signal:
            self.adaptation.update_teacher()
        self._signal = False

    def configure_optimizers(self) -> Any:
        optimizer = AdamW(parameter_groups(self.adaptation, self.optim), fused=self.fused)
        num_steps = int(self.trainer.estimated_stepping_batches)
        schedule = LambdaLR(optimizer, lambda step: cosine(step, num_steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Only what learns: the seed's keys `sam_image_encoder` and `proj`, and the teacher."""
        encoder = self.adaptation.trained_parts().encoder
        checkpoint["state_dict"] = {}
        checkpoint["sam_image_encoder"] = {name: p.detach() for name, p in encoder.items()}
        checkpoint["proj"] = self.adaptation.student.head.state_dict()
        checkpoint["teacher"] = self.adaptation.teacher.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        load_trained_parts(self.adaptation, checkpoint)
        self.adaptation.teacher.load_state_dict(checkpoint["teacher"])


class TwoBoxLoader(L.LightningDataModule):
    """Batches in an order that depends on (seed, epoch) alone, dealt out over the ranks."""

    def __init__(
        self, dataset: Dataset[Sample], *, batch_size: int, num_workers: int, seed: int
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed

    def train_dataloader(self) -> DataLoader[Sample]:
        assert self.trainer is not None
        sampler: DistributedSampler[Sample] = DistributedSampler(
            self.dataset,
            num_replicas=self.trainer.world_size,
            rank=self.trainer.global_rank,
            seed=self.seed,
        )
        return DataLoader(
            self.dataset,
            batch_size=self.batch_size,
            sampler=sampler,
            collate_fn=collate,
            num_workers=self.num_workers,
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
            persistent_workers=self.num_workers > 0,
        )

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        return batch.to(device)


def ledger(batch: Batch, output: StepOutput) -> dict[str, Tensor]:
    """What a step had to learn from, as counts that add up over an epoch."""
    contrast = output.contrast
    counts = {
        "num_steps": 1,
        "num_objects": batch.num_objects,
        "num_trusted": output.pseudo.trusted.sum(),
        "num_anchors": len(contrast.anchors),
        "num_missed": contrast.num_missed,
        "num_spurious": contrast.num_spurious,
        "num_background": contrast.num_background,
        "num_steps_without_signal": 0 if output.signal else 1,
        "entropy_sum": output.pseudo.entropy.sum(),
    }
    device = batch.images.device
    return {k: torch.as_tensor(v, dtype=torch.float, device=device) for k, v in counts.items()}


def parameter_groups(adaptation: Adaptation, optim: OptimConfig) -> list[dict[str, Any]]:
    """Encoder and head, each with and without weight decay (never on norms, biases, position tables)."""
    parts = adaptation.trained_parts()
    rates = ((parts.encoder, optim.lr_encoder), (parts.head, optim.lr_head))
    return [
        {"params": params, "lr": lr, "weight_decay": decay}
        for named, lr in rates
        for decay, params in (
            (optim.weight_decay, list(_select(named, decays=True))),
            (0.0, list(_select(named, decays=False))),
        )
        if params
    ]


def _select(named: dict[str, nn.Parameter], *, decays: bool) -> Iterator[nn.Parameter]:
    for name, parameter in named.items():
        is_table = "pos_embed" in name or "rel_pos" in name
        if (parameter.dim() > 1 and not is_table) == decays:
            yield parameter


def cosine(step: int, num_steps: int) -> float:
    """The rate's factor at a step: 1 at the first, 0 after the last (Loshchilov 2017)."""
    return 0.5 * (1 + math.cos(math.pi * min(step / num_steps, 1.0)))


def load_trained_parts(adaptation: Adaptation, checkpoint: dict[str, Any]) -> None:
    """Put a checkpoint's encoder and head in place. Raises KeyError where it does not fit this configuration."""
    encoder = adaptation.trained_parts().encoder
    saved = checkpoint["sam_image_encoder"]
    if encoder.keys() != saved.keys():
        raise KeyError("the checkpoint trains other encoder weights than this configuration")
    with torch.no_grad():
        for name, parameter in encoder.items():
            parameter.copy_(saved[name])
    adaptation.student.head.load_state_dict(checkpoint["proj"])

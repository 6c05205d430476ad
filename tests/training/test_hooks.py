"""The method's promises, kept in Lightning's loop: accumulation, steps without signal, clipping, precision."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import lightning as L
import pytest
import torch
from safetensors.torch import load_file
from tiny import disc_batch, tiny_sam
from torch.utils.data import DataLoader

import ringsam
from ringsam.batch import Batch
from ringsam.config import Config
from ringsam.method.adaptation import Adaptation
from ringsam.runs import RunFolder
from ringsam.training.build import build_module, build_trainer, quietly
from ringsam.training.module import AdaptationModule

Weights = dict[str, torch.Tensor]


def settings(**changes) -> Config:
    """Every object trusted, one block and the neck trained at a rate that shows."""
    method = {"entropy_thresh": 0.7, "unfreeze_last_k": 1, **changes.pop("method", {})}
    optim = {"lr_encoder": 1e-3, "batch_size": 1, "accumulate": 2, **changes.pop("optim", {})}
    hardware = {"accelerator": "cpu", **changes.pop("hardware", {})}
    return Config(epochs=1, method=method, optim=optim, hardware=hardware, **changes)


def with_signal(seed: int = 0) -> Batch:
    return disc_batch(num_images=1, per_image=4, seed=seed)


def without_signal(seed: int = 0) -> Batch:
    """Nothing of the image is real, so that no cell is an anchor."""
    batch = with_signal(seed)
    return replace(batch, extents=torch.zeros_like(batch.extents))


def with_nan() -> Batch:
    batch = with_signal()
    return replace(batch, images=torch.full_like(batch.images, torch.nan))


class GivenBatches(L.LightningDataModule):
    """These batches, in this order."""

    def __init__(self, batches: list[Batch]) -> None:
        super().__init__()
        self.batches = batches

    def train_dataloader(self) -> DataLoader[Batch]:
        return DataLoader(self.batches, batch_size=None)

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        return batch.to(device)


@dataclass
class Watch(L.Callback):
    """Looks on after each optimizer step, whether or not it moved a weight, and after each batch."""

    gradient_norms: list[float] = field(default_factory=list)
    weights: list[Weights] = field(default_factory=list)  # after each batch, the start first
    optimizer_states: list[list[torch.Tensor]] = field(default_factory=list)
    counts: dict[str, float] = field(default_factory=dict)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.optimizers[0].register_step_post_hook(self._note_gradients)
        self._note(trainer, pl_module)

    def on_train_batch_end(self, trainer, pl_module, *_) -> None:
        self._note(trainer, pl_module)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.counts = {name: float(count) for name, count in trainer.callback_metrics.items()}

    def _note(self, trainer: L.Trainer, module: AdaptationModule) -> None:
        self.weights.append(learned(module.adaptation))
        states = trainer.optimizers[0].state.values()
        self.optimizer_states.append(
            [value.clone() for state in states for value in state.values()]
        )

    def _note_gradients(self, optimizer: torch.optim.Optimizer, *_) -> None:
        given = [p.grad for group in optimizer.param_groups for p in group["params"]]
        norms = [gradient.norm() for gradient in given if gradient is not None]
        self.gradient_norms.append(float(torch.stack(norms).norm()) if norms else 0.0)


def learned(adaptation: Adaptation) -> Weights:
    named = adaptation.named_parameters()
    return {name: p.detach().clone() for name, p in named if p.requires_grad}


def moved(before: Weights, after: Weights) -> bool:
    return any(not torch.equal(before[name], after[name]) for name in before)


@pytest.fixture
def fit(tmp_path) -> Callable[..., tuple[Adaptation, Watch]]:
    """One epoch of these batches through ringsam's own module and Trainer."""

    def fit_epoch(batches: list[Batch], config: Config | None = None) -> tuple[Adaptation, Watch]:
        config = config or settings()
        folder = RunFolder(tmp_path / "run")
        folder.create()
        module, watch = build_module(tiny_sam(), config), Watch()
        trainer = build_trainer(folder, config)
        trainer.callbacks.append(watch)
        with quietly():
            trainer.fit(module, GivenBatches(batches))
        return module.adaptation, watch

    return fit_epoch


def weights(folder: Path) -> Weights:
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_every_precision_trains_with_accumulation_and_checkpointing(
    disc_data, sam_folder, tmp_path, precision
):
    """(16-mixed needs a GPU: on a CPU Lightning takes bf16-mixed instead.)"""
    hardware = {"precision": precision, "checkpointing": True}
    config = settings(weights=str(sam_folder), hardware=hardware)
    folder = RunFolder(ringsam.train(disc_data, tmp_path / "run", config))
    before, after = weights(folder.original), weights(folder.adapted)
    assert moved(before, after)
    assert all(value.isfinite().all() for value in after.values())
    assert all(value.dtype == torch.float32 for value in after.values())
    (epoch,) = folder.read_epochs()
    assert epoch["num_steps_without_signal"] == 0 and epoch["num_anchors"] > 0


@pytest.mark.parametrize("num_batches", [6, 5])
def test_the_teacher_moves_once_for_each_optimizer_step(fit, monkeypatch, num_batches):
    updates = []
    update = Adaptation.update_teacher
    monkeypatch.setattr(
        Adaptation, "update_teacher", lambda self: updates.append(1) or update(self)
    )
    _, watch = fit([with_signal(seed) for seed in range(num_batches)])
    assert len(watch.gradient_norms) == 3  # the last window of five batches holds one
    assert len(updates) == 3


def test_the_teacher_follows_the_step_not_the_weights_before_it(fit):
    adaptation, watch = fit([with_signal(0), with_signal(1)], settings(method={"ema_decay": 0.0}))
    assert moved(watch.weights[0], watch.weights[-1])
    pairs = zip(adaptation.teacher.parameters(), adaptation.student.parameters(), strict=True)
    assert all(torch.equal(own, new) for own, new in pairs)


@pytest.mark.parametrize("window", ["signal first", "signal last"])
def test_a_window_in_which_one_batch_has_signal_makes_its_step(fit, window):
    batches = [with_signal(0), without_signal(1)]
    _, watch = fit(batches if window == "signal first" else batches[::-1])
    start, first, second = watch.weights
    assert not moved(start, first)
    assert moved(first, second)
    assert (watch.counts["num_steps"], watch.counts["num_steps_without_signal"]) == (1, 0)


def test_a_window_without_signal_moves_neither_weights_nor_optimizer_nor_teacher(fit, monkeypatch):
    """After a real step, when distillation and AdamW's momentum would move them."""
    updates = []
    monkeypatch.setattr(Adaptation, "update_teacher", lambda self: updates.append(1))
    silent = [without_signal(2), without_signal(3)]
    _, watch = fit([with_signal(0), with_signal(1), *silent, with_signal(4), with_signal(5)])
    start, _, stepped, _, still, _, stepped_again = watch.weights
    assert moved(start, stepped)
    assert not moved(stepped, still)
    assert moved(still, stepped_again)
    _, _, stepped, _, still, _, stepped_again = watch.optimizer_states
    assert len(stepped) == len(still) > 0
    assert all(torch.equal(old, new) for old, new in zip(stepped, still, strict=True))
    assert any(not torch.equal(old, new) for old, new in zip(still, stepped_again, strict=True))
    assert len(updates) == 2
    assert (watch.counts["num_steps"], watch.counts["num_steps_without_signal"]) == (3, 1)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_no_step_sees_a_gradient_longer_than_the_clip(fit, precision):
    loud = {"method": {"alpha": 1000.0}, "hardware": {"precision": precision}}
    _, watch = fit([with_signal(seed) for seed in range(4)], settings(**loud))
    assert watch.gradient_norms == pytest.approx([1.0, 1.0], abs=1e-3)


def test_without_the_clip_that_gradient_is_longer(fit):
    loud = settings(method={"alpha": 1000.0}, optim={"clip": 1e9})
    _, watch = fit([with_signal(0), with_signal(1)], loud)
    assert watch.gradient_norms[0] > 10


def test_a_window_with_a_nan_moves_nothing_and_the_next_one_goes_on(fit):
    sound = [with_signal(seed) for seed in range(5)]
    _, watch = fit([*sound[:2], with_nan(), *sound[2:]])
    _, _, stepped, _, still, _, stepped_again = watch.weights
    assert not moved(stepped, still)
    assert moved(still, stepped_again)


def test_a_nan_is_forgotten_two_steps_later(fit):
    sound = [with_signal(seed) for seed in range(7)]
    adaptation, watch = fit([*sound[:2], with_nan(), *sound[2:]])
    assert all(value.isfinite().all() for value in adaptation.state_dict().values())
    assert moved(watch.weights[-3], watch.weights[-1])

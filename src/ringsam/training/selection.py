"""Which epoch's weights are kept, judged without masks on images held out of training."""

from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ringsam.batch import Batch, Sample
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation
from ringsam.method.quality import judge
from ringsam.method.self_training import PerObject
from ringsam.training.module import on_cpu
from ringsam.training.optim import start_again_at_half_rate

PATIENCE = 3  # epochs without a better one, after which training stops
NOISE = 0.01  # of the best quality: nearer than this is no difference, and more training counts
COLLAPSE = 0.8  # of the best quality so far: below it an epoch has ruined the model


class Selection(L.Callback):
    """Judges what is kept before the first epoch and after each; keeps the last of the best, rolls back a collapse, stops in time.

    A collapse goes back to the best weights with fresh optimiser state and half the rate. Every rank
    judges the same images and goes by the first rank's verdict, so all decide alike.
    """

    def __init__(
        self, held_out: DataLoader[Sample], adaptation: Adaptation, *, num_objects: int, seed: int
    ) -> None:
        self.held_out = held_out
        self.num_objects = num_objects
        self.adaptation = adaptation
        self.draws = Draws(seed, 0)
        self.patience, self.collapse = PATIENCE, COLLAPSE
        self.best = torch.empty(0)  # qualities of the held-out objects in the best epoch so far
        self.quality = -1.0  # of the weights kept
        self.epoch = 0  # after which they were; 0 is the original SAM
        self.weights: dict[str, Tensor] = {}
        self.head: dict[str, Tensor] = {}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if len(self.best) != self.num_objects:  # at the start, or where others are held out now
            self.best = torch.empty(0)
            self._keep(self._judge(trainer, pl_module), epoch=trainer.current_epoch)
        # A run that had stopped, and is resumed, stays stopped
        trainer.should_stop = trainer.current_epoch - self.epoch >= self.patience

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        qualities, epoch = self._judge(trainer, pl_module), trainer.current_epoch + 1
        quality, best = float(qualities.mean()), float(self.best.mean())
        pl_module.log("mask_free_quality", quality)
        # The best until now, of the original SAM or since
        pl_module.log("mask_free_quality_before", best)
        if quality < self.collapse * best:
            self._roll_back(trainer)
            _say(
                trainer,
                f"epoch {epoch} collapsed: mask-free quality {quality:.3f}, was {self.quality:.3f} "
                f"after epoch {self.epoch}; back to those weights, at half the rate",
            )
        elif not is_worse(qualities, self.best):
            self._keep(qualities, epoch=epoch)
        if epoch - self.epoch >= self.patience and epoch < (trainer.max_epochs or 0):
            trainer.should_stop = True
            _say(trainer, f"no better epoch since {self.epoch}: stopping")

    def state_dict(self) -> dict[str, Any]:
        return {
            "best": self.best,
            "quality": self.quality,
            "epoch": self.epoch,
            "weights": self.weights,
            "head": self.head,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best, self.quality = state_dict["best"], state_dict["quality"]
        self.epoch = state_dict["epoch"]
        self.weights, self.head = state_dict["weights"], state_dict["head"]

    def _judge(self, trainer: L.Trainer, pl_module: L.LightningModule) -> PerObject:
        """The held-out objects' qualities, as the first rank found them."""
        found, sam = [], self.adaptation.sam
        with trainer.precision_plugin.forward_context():
            for samples in self.held_out:
                batch: Batch = samples.to(pl_module.device)
                embedding = self.adaptation.encode_kept(batch.images)
                found.append(judge(sam, embedding, batch, self.draws).cpu())
        return trainer.strategy.broadcast(torch.cat(found))

    def _keep(self, qualities: PerObject, *, epoch: int) -> None:
        self.quality, self.epoch = float(qualities.mean()), epoch
        if not len(self.best) or self.quality > self.best.mean():
            self.best = qualities
        self.weights = on_cpu(self.adaptation.kept_encoder())
        self.head = on_cpu(self.adaptation.student.head.state_dict())

    def _roll_back(self, trainer: L.Trainer) -> None:
        self.adaptation.restart_from(self.weights, self.head)
        start_again_at_half_rate(trainer.optimizers, trainer.lr_scheduler_configs)


def is_worse(qualities: PerObject, best: PerObject) -> bool:
    """Whether the same objects' qualities are below the best on average, by more than noise and by more than so few can tell.

    That is one standard error of the paired differences (Breiman 1984).
    """
    lost = best - qualities
    standard_error = lost.std(correction=0) / max(len(lost) - 1, 1) ** 0.5
    return bool(lost.mean() > max(NOISE * best.mean(), standard_error))


def _say(trainer: L.Trainer, text: str) -> None:
    if trainer.is_global_zero:
        print(text, flush=True)

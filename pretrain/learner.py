"""One training step of ringsam-nano, after SAM's protocol (Kirillov 2023, appendix A)."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.optim import Optimizer
from transformers import SamModel

from pretrain.attention import fold_attention
from pretrain.batches import Batch
from pretrain.losses import mask_loss, near, true_iou
from pretrain.model import decode, encode
from pretrain.prompts import KINDS, Prompts, corrected, first_prompts


class Recipe(NamedTuple):
    """What is fixed for a whole training."""

    steps: int
    seed: int
    learning_rate: float
    warmup_steps: int
    decay_steps: int
    balance: float
    focus: float
    correct_every: int
    kind_shares: tuple[float, ...]  # of the steps, for each of KINDS


def rate_factor(step: int, recipe: Recipe) -> float:
    """The learning rate as a share of its peak: up in a line, level, down in a line over the last `decay_steps`."""
    up = (step + 1) / max(recipe.warmup_steps, 1)
    down = (recipe.steps - step) / max(recipe.decay_steps, 1)
    return max(min(1.0, up, down), 0.0)


class Learner(lightning.LightningModule):
    """The model that learns and the slow average of its weights, which is what ships."""

    def __init__(self, model: SamModel, recipe: Recipe) -> None:
        super().__init__()
        self.average = copy.deepcopy(model).requires_grad_(False)
        self.model, self.recipe = fold_attention(model), recipe

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The loss of one step: first prompts, and on some steps a correction click with the mask fed back."""
        step = self.global_step
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + step)
        kind = KINDS[
            int(torch.multinomial(torch.tensor(self.recipe.kind_shares), 1, generator=generator))
        ]
        # Encode each image once, hand every object its image's features
        embeddings = encode(self.model, batch.pixels)[batch.image_index]
        nearby = near(batch.boxes, batch.targets.shape[-1])
        # First prompts: one click is ambiguous and earns three masks, of which the best is taught
        prompts = self._to_device(first_prompts(self._to_cpu(batch), kind, generator))
        logits, rated = decode(self.model, embeddings, prompts)
        loss = self._loss(
            logits, rated, batch.targets, nearby, three=kind == "point" or step % 4 == 0
        )
        # A click where the mask errs, with the mask as a prompt
        if step % self.recipe.correct_every == 0:
            fed_back = logits[:, :1].detach()
            prompts = corrected(prompts, fed_back, batch.targets, generator)
            logits_again, rated = decode(self.model, embeddings, prompts, fed_back.clamp(-16, 16))
            loss = (loss + self._loss(logits_again, rated, batch.targets, nearby, three=False)) / 2
        self.log(f"iou/{kind}", true_iou(logits[:, :1], batch.targets).mean(), on_step=True)
        self.log("loss", loss, on_step=True)
        return loss

    def _loss(
        self, logits: Tensor, rated: Tensor, targets: Tensor, nearby: Tensor, *, three: bool
    ) -> Tensor:
        """Loss of the single mask, of the best of the three if they are asked for, and of the ratings."""
        tokens = 4 if three else 1
        logits, rated = logits[:, :tokens], rated[:, :tokens]
        losses = mask_loss(
            logits, targets, nearby, balance=self.recipe.balance, focus=self.recipe.focus
        )
        rating = (rated - true_iou(logits, targets)).square().mean()
        best = losses[:, 1:].amin(dim=1).mean() if three else 0.0
        return losses[:, 0].mean() + best + rating

    def optimizer_step(
        self,
        epoch: int,
        batch_idx: int,
        optimizer: Optimizer | LightningOptimizer,
        optimizer_closure: Callable[[], Any] | None = None,
    ) -> None:
        """Set the rate, step, and let the average follow."""
        for group in optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * rate_factor(self.global_step, self.recipe)
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        keep = min(0.998, (1 + self.global_step) / (10 + self.global_step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.model.parameters()), 1 - keep
            )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; only matrices decay."""
        learning = [weight for weight in self.model.parameters() if weight.requires_grad]
        groups = [
            {"params": [weight for weight in learning if weight.ndim >= 2], "weight_decay": 0.05},
            {"params": [weight for weight in learning if weight.ndim < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            groups, lr=self.recipe.learning_rate, betas=(0.9, 0.99), fused=True
        )

    def _to_cpu(self, batch: Batch) -> Batch:
        return Batch(*[part.cpu() for part in batch])

    def _to_device(self, prompts: Prompts) -> Prompts:
        return Prompts(*[None if part is None else part.to(self.device) for part in prompts])

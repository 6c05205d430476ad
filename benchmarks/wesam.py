"""The nearest published recipe in our frame: WeSAM (Zhang 2024, "Weakly Supervised Adaptation"), for comparison only.

Prompts are the big boxes. The student sees a strong photometric view and learns, by focal and Dice loss, its own masks of the
weak view; both views' masks are anchored to the original SAM's by Dice; object embeddings are contrasted with the original's.
Where WeSAM has low-rank updates of the encoder, this trains the encoder, as every row of the comparison does.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ringsam.batch import Batch
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation, StepOutput
from ringsam.method.losses import dice_loss, iou_loss
from ringsam.method.prompts import make_prompts
from ringsam.method.pseudo_labels import PseudoLabels
from ringsam.method.sampling import Contrast
from ringsam.sam.model import Decoded

FOCAL_WEIGHT, FOCAL_ALPHA, FOCAL_GAMMA = 20.0, 0.8, 2.0
TEMPERATURE = 0.3


class View(NamedTuple):
    """What the student makes of one view of the images."""

    embedding: Tensor  # (b, c, h, w)
    decoded: Decoded


class WesamAdaptation(Adaptation):
    """Takes the place of `Adaptation`; the heart's parts are the same, the losses are WeSAM's."""

    def step(self, batch: Batch, draws: Draws) -> StepOutput:
        """One batch: original SAM, weak view, strong view, losses."""
        prompts = make_prompts(batch, "box", num_points=1, draws=draws)

        def decode(embedding: Tensor) -> View:
            return View(embedding, self.sam.decode(embedding, batch.image_index, prompts))

        with torch.no_grad():
            trunk, reference = self.frozen(batch)
            original = decode(reference)
        student = self.student(trunk)
        weak = decode(student.embedding)
        strong = decode(self.student(self.sam.encode_trunk(strong_view(batch, draws))).embedding)

        kept = original.decoded.logits[:, 0] > 0
        pseudo = (weak.decoded.logits[:, 0] > 0).detach()
        seen = strong.decoded.logits[:, 0]
        terms = {
            "focal": focal_loss(seen, pseudo),
            "dice": dice_loss(seen, pseudo).mean(),
            "iou": iou_loss(strong.decoded.iou, seen, pseudo),
            "anchor": (dice_loss(seen, kept) + dice_loss(weak.decoded.logits[:, 0], kept)).mean()
            / 2,
            "instance_contrast": instance_contrast(weak, original, batch),
        }
        loss = FOCAL_WEIGHT * terms["focal"] + sum(t for n, t in terms.items() if n != "focal")
        labels = PseudoLabels.from_logits(
            weak.decoded.logits.detach(),
            input_size=self.sam.input_size,
            grid=self.sam.grid,
            entropy_thresh=self.config.entropy_thresh,
        )
        nothing, none = student.projection.new_zeros((0, self.config.proj_dim)), torch.tensor(0)
        contrast = Contrast(nothing, nothing, nothing, torch.tensor(1.0), none, none, none)
        return StepOutput(
            batch,
            loss,
            terms,
            student,
            weak.decoded,
            prompts,
            labels,
            contrast,
            batch.num_objects > 0,
        )


def strong_view(batch: Batch, draws: Draws) -> Tensor:
    """The images with other brightness, contrast and colours, and grain; padding stays as it is. (b, 3, s, s)"""
    count, size = len(batch.images), batch.images.shape[-1]
    first = torch.stack([batch.object_ids[batch.image_index == i][0] for i in range(count)])
    chance = draws.uniform(first, 6, "strong view")[:, :, None, None]
    contrast, brightness, saturation = (0.5 + chance[:, i, None] for i in range(3))
    gray = batch.images.mean(dim=1, keepdim=True)
    view = (gray + saturation * (batch.images - gray)) * contrast + 2 * (brightness - 1)
    random = torch.Generator().manual_seed(int(first[0]) * 1009 + draws.seed * 31 + draws.epoch)
    grain = torch.randn(batch.images.shape, generator=random).to(view.device)
    view = view + 0.3 * chance[:, 3, None] * grain
    places = torch.arange(size, device=view.device)
    inside = (places[None, :, None] < batch.extents[:, :1, None]) & (
        places[None, None] < batch.extents[:, 1:, None]
    )
    return torch.where(inside[:, None], view, batch.images)


def focal_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Focal loss (Lin 2017) of masks (n, h, w), mean over pixels and objects."""
    entropy = F.binary_cross_entropy_with_logits(logits, targets.float(), reduction="none")
    return FOCAL_ALPHA * ((1 - torch.exp(-entropy)) ** FOCAL_GAMMA * entropy).mean()


def instance_contrast(weak: View, original: View, batch: Batch) -> Tensor:
    """Each object's mean embedding against the original SAM's of all objects of its image; an image of one object gives 0."""
    ours, theirs = pooled(weak, batch), pooled(original, batch)
    likeness = F.cosine_similarity(ours[:, None], theirs[None], dim=2) / TEMPERATURE
    same_image = batch.image_index[:, None] == batch.image_index[None]
    likeness = likeness.masked_fill(~same_image, -torch.inf)
    return (likeness.logsumexp(dim=1) - likeness.diagonal()).mean()


def pooled(view: View, batch: Batch) -> Tensor:
    """The mean of the embedding over each object's mask, (n, c)."""
    grid = view.embedding.shape[-1]
    masks = F.interpolate(view.decoded.logits.detach(), size=(grid, grid), mode="bilinear") > 0
    embedding = view.embedding[batch.image_index]
    return (embedding * masks).sum(dim=(2, 3)) / masks.sum(dim=(2, 3)).clamp(min=1)

"""A training step as the field writes it, for comparison only: towers apart, every pass anew, object after object.

`SeedSchedule` is the seed method so written, around transformers' SAM with eager attention; `WesamSchedule` is the step of WeSAM
(Zhang 2024), around Meta's SAM with low-rank updates of queries and values.
"""

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import SamModel

from benchmarks.models import metas_masks
from benchmarks.wesam import FOCAL_WEIGHT, TEMPERATURE, focal_loss
from ringsam.batch import Batch
from ringsam.config import MethodConfig
from ringsam.draws import Draws
from ringsam.method.losses import dice_loss
from ringsam.method.prompts import make_prompts
from ringsam.method.tower import PixelProjectionHead
from ringsam.sam.model import Prompts


class SeedSchedule:
    """Four passes through whole encoders a step, and two decoder calls an object."""

    def __init__(self, model: SamModel, config: MethodConfig) -> None:
        self.config = config
        self.student = model.requires_grad_(False)
        layers = model.vision_encoder.layers
        learning = [layer.requires_grad_(True) for layer in layers[-config.unfreeze_last_k :]]
        (
            model.vision_encoder if len(learning) == len(layers) else model.vision_encoder.neck
        ).requires_grad_(True)
        self.head = PixelProjectionHead(256, config.proj_dim)
        self.teacher = copy.deepcopy(model).requires_grad_(False)
        self.teacher_head = copy.deepcopy(self.head).requires_grad_(False).eval()
        self.original = copy.deepcopy(model).requires_grad_(False)
        learned = [p for p in model.parameters() if p.requires_grad] + list(self.head.parameters())
        self.optimizer = torch.optim.AdamW(learned, lr=2e-6, foreach=False)

    def step(self, batch: Batch, draws: Draws) -> None:
        """One optimizer step."""
        prompts = make_prompts(
            batch, self.config.prompts, num_points=self.config.num_points, draws=draws
        )
        self.optimizer.zero_grad()
        objects = range(batch.num_objects)
        with torch.no_grad():
            taught = self.teacher.vision_encoder(batch.images).last_hidden_state
            logits = [self.decode(self.teacher, taught, batch, prompts, n) for n in objects]
            labels = [self._judge(logit) for logit in logits]
            targets = self.teacher_head(self.teacher.vision_encoder(batch.images).last_hidden_state)
        embedding = self.student.vision_encoder(batch.images).last_hidden_state
        projected = self.head(embedding)
        with torch.no_grad():
            for n in objects:  # monitors
                mask = self.decode(self.student, embedding, batch, prompts, n)
                known = labels[n][0]
                F.binary_cross_entropy_with_logits(mask, known.float()).item()
                dice_loss(mask[None], known[None]).item()
        contrast = torch.stack(
            [self._contrast(projected, targets, batch, labels[n][0], n, draws) for n in objects]
        ).mean()
        with torch.no_grad():
            reference = self.original.vision_encoder(batch.images).last_hidden_state
        loss = contrast + self.config.gamma * F.mse_loss(embedding, reference)
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            pairs = [(self.teacher, self.student), (self.teacher_head, self.head)]
            for teacher, student in pairs:
                for own, new in zip(teacher.parameters(), student.parameters(), strict=True):
                    own.mul_(self.config.ema_decay).add_(new, alpha=1 - self.config.ema_decay)

    def decode(
        self, model: SamModel, embedding: Tensor, batch: Batch, prompts: Prompts, n: int
    ) -> Tensor:
        """One object's logits in the input frame, (s, s)."""
        one, image = prompts.rows(n, n + 1), int(batch.image_index[n])
        sparse, dense = model.prompt_encoder(
            input_points=None if one.points is None else one.points[:, None],
            input_labels=None if one.labels is None else one.labels[:, None],
            input_boxes=None if one.boxes is None else one.boxes[:, None],
            input_masks=None,
        )
        logits, _ = model.mask_decoder(
            image_embeddings=embedding[image : image + 1],
            image_positional_embeddings=model.get_image_wide_positional_embeddings(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        size = batch.images.shape[-2:]
        return F.interpolate(logits[:, 0], size, mode="bilinear")[0, 0]

    def _judge(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        share = logits.sigmoid()
        sure = share * (share + 1e-6).log() + (1 - share) * (1 - share + 1e-6).log()
        return share > 0.5, -sure.mean()

    def _contrast(
        self, projected: Tensor, targets: Tensor, batch: Batch, mask: Tensor, n: int, draws: Draws
    ) -> Tensor:
        """InfoNCE of one object's cells; the core and the certain background where the mask gives no hard ones."""
        image, grid = int(batch.image_index[n]), projected.shape[-1]
        stride = batch.images.shape[-1] / grid
        cells = F.interpolate(mask[None, None].float(), (grid, grid), mode="area")[0, 0] > 0.5
        core = _filled(batch.small_boxes[n], grid, stride)
        outside = ~_filled(batch.big_boxes[n], grid, stride)
        anchors, negatives = (
            (cells & core).nonzero(),
            ((core & ~cells) | (outside & cells)).nonzero(),
        )
        if not (len(anchors) and len(negatives)):
            anchors, negatives = core.nonzero(), outside.nonzero()
        random = torch.Generator().manual_seed(n)
        anchors = anchors[torch.randperm(len(anchors), generator=random)[: self.config.pos_samples]]
        negatives = negatives[
            torch.randperm(len(negatives), generator=random)[: self.config.neg_samples]
        ]
        own = projected[image][:, anchors[:, 0], anchors[:, 1]].T
        positive = targets[image][:, anchors[:, 0], anchors[:, 1]].T
        others = projected[image][:, negatives[:, 0], negatives[:, 1]].T
        logits = torch.cat([(own * positive).sum(1, keepdim=True), own @ others.T], dim=1)
        return F.cross_entropy(
            logits / self.config.temperature,
            torch.zeros(len(own), dtype=torch.long, device=own.device),
        )


class WesamSchedule:
    """Three passes through whole encoders a step, two of them with gradients; the decoder image after image."""

    def __init__(self, sam: Any) -> None:
        self.sam = sam.requires_grad_(False)
        self.original = copy.deepcopy(sam)
        for block in sam.image_encoder.blocks:
            block.attn.qkv = _LowRank(block.attn.qkv)
        learned = [p for p in sam.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(learned, lr=1e-4)

    def step(self, batch: Batch) -> None:
        """One optimizer step; prompts are the big boxes."""
        with torch.no_grad():
            kept = self._see(self.original, batch.images, batch)
        weak = self._see(self.sam, batch.images, batch)
        strong = self._see(self.sam, batch.images * 1.1 + 0.1, batch)
        loss = batch.images.new_zeros(())
        for image in range(len(batch.images)):
            anchor = kept[1][image] > 0
            label = weak[1][image].detach() > 0
            seen = strong[1][image]
            loss = loss + 0.5 * (dice_loss(seen, anchor) + dice_loss(weak[1][image], anchor)).mean()
            loss = loss + FOCAL_WEIGHT * focal_loss(seen, label) + dice_loss(seen, label).mean()
            loss = loss + F.mse_loss(strong[2][image], torch.ones_like(strong[2][image]))
            loss = loss + _instance_contrast(weak, kept, image)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _see(
        self, sam: Any, images: Tensor, batch: Batch
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        embedding = sam.image_encoder(images)
        masks, scores = [], []
        for image in range(len(images)):
            boxes = batch.big_boxes[batch.image_index == image]
            logits, iou = metas_masks(sam, embedding[image : image + 1], boxes=boxes)
            masks.append(F.interpolate(logits, images.shape[-2:], mode="bilinear")[:, 0])
            scores.append(iou)
        return embedding, masks, scores


class _LowRank(nn.Module):
    """Queries and values with an update of rank 4 (Hu 2021)."""

    def __init__(self, qkv: nn.Linear, rank: int = 4) -> None:
        super().__init__()
        width = qkv.in_features
        self.qkv = qkv
        self.down = nn.ModuleList(nn.Linear(width, rank, bias=False) for _ in range(2))
        self.up = nn.ModuleList(nn.Linear(rank, width, bias=False) for _ in range(2))

    def forward(self, tokens: Tensor) -> Tensor:
        query, value = (up(down(tokens)) for up, down in zip(self.up, self.down, strict=True))
        out: Tensor = self.qkv(tokens) + torch.cat([query, torch.zeros_like(query), value], dim=-1)
        return out


def _instance_contrast(
    weak: tuple[Tensor, list[Tensor], list[Tensor]],
    kept: tuple[Tensor, list[Tensor], list[Tensor]],
    image: int,
) -> Tensor:
    ours, theirs = (_pooled(view[0][image], view[1][image].detach() > 0) for view in (weak, kept))
    likeness = F.cosine_similarity(ours[:, None], theirs[None], dim=2) / TEMPERATURE
    return (likeness.logsumexp(dim=1) - likeness.diagonal()).mean()


def _pooled(embedding: Tensor, masks: Tensor) -> Tensor:
    cells = F.interpolate(masks[None].float(), size=embedding.shape[-2:], mode="area")[0] > 0.5
    return (embedding * cells[:, None]).sum(dim=(2, 3)) / cells.sum(dim=(1, 2)).clamp(min=1)[
        :, None
    ]


def _filled(box: Tensor, grid: int, stride: float) -> Tensor:
    centres = (torch.arange(grid, device=box.device) + 0.5) * stride
    across, down = ((centres >= box[i]) & (centres < box[i + 2]) for i in (0, 1))
    return down[:, None] & across

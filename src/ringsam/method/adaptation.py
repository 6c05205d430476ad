"""THE HEART: one step of the method. Its comments are the boxes of the flow chart in docs/method.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ringsam.batch import Batch
from ringsam.config import MethodConfig
from ringsam.draws import Draws
from ringsam.feature_cache import FeatureCache
from ringsam.method.colours import SoftMasks
from ringsam.method.frozen import FrozenEncoder
from ringsam.method.losses import Scalar, distillation, info_nce, mask_monitors
from ringsam.method.orientation import orient
from ringsam.method.prompts import make_prompts
from ringsam.method.pseudo_labels import PseudoLabels
from ringsam.method.ranks import sum_over_ranks
from ringsam.method.sampling import Contrast, sample_contrast
from ringsam.method.self_training import make_targets, mask_terms
from ringsam.method.teacher import EmaTeacher
from ringsam.method.tower import Features, PixelProjectionHead, Tower
from ringsam.sam.model import Decoded, Embedding, Prompts, Sam


@dataclass(frozen=True)
class StepOutput:
    """What a step made: the loss that trains, its terms, and what monitors and the ledger read."""

    batch: Batch  # as the models saw it
    loss: Scalar
    terms: dict[str, Scalar]
    student: Features
    decoded: Decoded | None  # the student's masks, where a term needed them
    prompts: Prompts
    pseudo: PseudoLabels
    contrast: Contrast | None  # the seed's, where it trains
    signal: bool  # some object of some rank had something to teach; else the step must not move a weight


class TrainedParts(NamedTuple):
    encoder: dict[str, nn.Parameter]  # by SamModel's own names below `vision_encoder.`
    head: dict[str, nn.Parameter]


class Adaptation(nn.Module):
    """Student, EMA teacher and original SAM around one frozen trunk, prompt encoder and mask decoder."""

    def __init__(
        self,
        sam: Sam,
        config: MethodConfig,
        *,
        seed: int = 0,
        checkpointing: bool = False,
        cache: FeatureCache | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.sam = sam.requires_grad_(False).eval()
        sam.split(config.unfreeze_last_k)
        self.frozen = FrozenEncoder(sam, cache)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            head = PixelProjectionHead(sam.embedding_dim, config.proj_dim)
        head.requires_grad_(config.alpha > 0)  # what nothing reads, nothing trains
        self.student = Tower(sam.tail(checkpointing=checkpointing).requires_grad_(True), head)
        if config.unfreeze_last_k and not config.train_neck:
            sam.model.vision_encoder.neck.requires_grad_(False)
        self.teacher = EmaTeacher(self.student, ema_decay=config.ema_decay)

    def step(self, batch: Batch, draws: Draws) -> StepOutput:
        """One batch through the method; `draws` decides every random choice. Never looks at `batch.gt_masks`."""
        config = self.config

        # Data input: images as they lie or turned; two boxes -> one prompt an object, shared by teacher and student
        batch = orient(batch, draws) if config.random_orientation else batch
        prompts = make_prompts(batch, config.prompts, num_points=config.num_points, draws=draws)

        with torch.no_grad():
            # Frozen trunk: the same blocks for student, teacher and original, so it runs once;
            # and the original SAM, which the student must not forget
            trunk, reference = self.frozen(batch)

            # Teacher model: pseudo-labels, trusted where the entropy is low
            teacher = self.teacher(trunk)
            taught = self.sam.decode(
                teacher.embedding, batch.image_index, prompts, with_pixels=config.contrasts_pixels
            )
            pseudo = PseudoLabels.from_logits(
                taught.logits,
                input_size=self.sam.input_size,
                grid=self.sam.grid,
                entropy_thresh=config.entropy_thresh,
            )

        # Student model: the only part that learns
        student = self.student(trunk)

        # Losses: these train; mask loss and IoU loss are monitors
        terms, weights = {}, {}

        # Contrast: trusted cores are pulled to the teacher, hard negatives pushed away
        contrast = None
        if config.alpha:
            contrast = sample_contrast(
                student.projection,
                teacher.projection,
                pseudo,
                batch,
                pos_samples=config.pos_samples,
                neg_samples=config.neg_samples,
                gather_negatives=config.gather_negatives,
                draws=draws,
            )
            terms["contrast"] = contrast.anchor_share * info_nce(
                contrast.anchors,
                contrast.positives,
                contrast.negatives,
                temperature=config.temperature,
            )
            weights["contrast"] = config.alpha

        # Distillation: the student stays near the original SAM
        terms["distill"] = distillation(student.embedding, reference)
        weights["distill"] = config.gamma

        # Beyond the seed: the student's masks against boxes, colours and teacher
        decoded = None
        if config.trains_masks:
            decoded = self.sam.decode(
                student.embedding, batch.image_index, prompts, with_pixels=config.contrasts_pixels
            )
            targets = self.targets(taught, batch)
            terms |= mask_terms(
                decoded, taught, targets, batch, temperature=config.temperature, draws=draws
            )
            weights |= {
                "self_training": config.self_training,
                "box_constraint": config.box_constraint,
                "pixel_contrast": config.pixel_contrast,
            }

        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        signal = has_signal(contrast, batch, config)
        return StepOutput(batch, loss, terms, student, decoded, prompts, pseudo, contrast, signal)

    def targets(self, taught: Decoded, batch: Batch) -> SoftMasks:
        """What the student's masks are taught: the votes of teacher, colours and place, and what the boxes know."""
        return make_targets(taught.logits[:, 0], batch, self.config)

    @torch.no_grad()
    def monitor(self, output: StepOutput) -> dict[str, Scalar]:
        """Mask loss, IoU loss and mIoU of the student, and the logged total; nothing of it reaches a gradient.

        Against the ground truth where the batch has it, else against the pseudo-labels, under names ending in `_pseudo`.
        """
        batch = output.batch
        decoded = output.decoded or self.sam.decode(
            output.student.embedding, batch.image_index, output.prompts
        )
        known = batch.gt_masks is not None
        targets = batch.gt_masks if batch.gt_masks is not None else output.pseudo.masks
        values = mask_monitors(decoded, targets)
        monitored = values["mask_loss"] + self.config.beta * values["iou_loss"]
        values["total"] = monitored + output.loss.detach()
        return values if known else {f"{name}_pseudo": value for name, value in values.items()}

    def update_teacher(self) -> None:
        """EMA teacher update: call it after every optimizer step that moved a weight."""
        self.teacher.update(self.student)

    def learned(self) -> dict[str, dict[str, Tensor]]:
        """All that training changes: the seed's `sam_image_encoder` and `proj`, and the teacher. Not a copy."""
        encoder = self.trained_parts().encoder
        return {
            "sam_image_encoder": {name: weight.detach() for name, weight in encoder.items()},
            "proj": self.student.head.state_dict(),
            "teacher": self.teacher.state_dict(),
        }

    def load_learned(self, learned: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Put back what `learned` gave."""
        self.use_encoder(learned["sam_image_encoder"])
        self.student.head.load_state_dict(learned["proj"])
        self.teacher.load_state_dict(learned["teacher"])

    @torch.no_grad()
    def use_encoder(self, encoder: Mapping[str, Tensor]) -> None:
        """Give the student, whose encoder is `sam`'s own, these weights, by the names of `trained_parts`."""
        for name, weight in self.trained_parts().encoder.items():
            weight.copy_(encoder[name])

    def restart_from(self, encoder: Mapping[str, Tensor], head: Mapping[str, Tensor]) -> None:
        """Let student and teacher begin anew from these weights, those of `kept_encoder` and of the student's head."""
        self.use_encoder(encoder)
        self.student.head.load_state_dict(head)
        self.teacher.tower.load_state_dict(self.student.state_dict())

    def kept_encoder(self) -> dict[str, Tensor]:
        """The encoder that is judged and kept, the student's or the teacher's, by the names of `trained_parts`."""
        encoder = self.trained_parts().encoder
        if self.config.kept == "student":
            return {name: weight.detach() for name, weight in encoder.items()}
        pairs = zip(self.student.parameters(), self.teacher.tower.parameters(), strict=True)
        teacher = {id(student): mean for student, mean in pairs}
        return {name: teacher[id(weight)] for name, weight in encoder.items()}

    @torch.no_grad()
    def encode_kept(self, images: Float[Tensor, "b 3 s s"]) -> Embedding:
        """What the encoder that is kept makes of images in the input frame."""
        kept = self.student if self.config.kept == "student" else self.teacher.tower
        embedding: Embedding = kept.tail(self.sam.encode_trunk(images))
        return embedding

    def trained_parts(self) -> TrainedParts:
        """Every parameter that learns, by name: the seed's `sam_image_encoder` and `proj`."""
        encoder = self.sam.model.vision_encoder
        return TrainedParts(
            {name: p for name, p in encoder.named_parameters() if p.requires_grad},
            {name: p for name, p in self.student.head.named_parameters() if p.requires_grad},
        )


def has_signal(contrast: Contrast | None, batch: Batch, config: MethodConfig) -> bool:
    """Whether any rank has something that trains: anchors with negatives, or an object whose mask does."""
    contrasted = min(len(contrast.anchors), len(contrast.negatives)) if contrast else 0
    masks = batch.num_objects if config.trains_masks else 0
    found = torch.tensor(contrasted + masks, device=batch.images.device)
    return bool(sum_over_ranks(found) > 0)

"""Ask SAM, original or adapted, for the masks of an image's boxes."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ringsam.arrays import as_boxes, as_image, refuse_apart
from ringsam.batch import Sample, collate
from ringsam.config import PromptPolicy, Refinement
from ringsam.draws import Draws
from ringsam.errors import InputError
from ringsam.geometry import Frame
from ringsam.method.prompts import make_prompts
from ringsam.method.pseudo_labels import mask_entropy
from ringsam.refinement import refine_masks
from ringsam.runs import RunFolder
from ringsam.sam.model import Sam
from ringsam.sam.preprocess import Preprocess, logits_to_image
from ringsam.sam.weights import load_sam

_DRAWING_BYTES = 1 << 28


class Prediction(NamedTuple):
    """One row an object, in the order of the boxes."""

    masks: Bool[Tensor, "n height width"]  # in the image's own pixels
    iou: Float[Tensor, " n"]  # as SAM predicts it for its mask
    entropy: Float[Tensor, " n"]  # nats, mean over the image


class Predictor:
    """A SAM that takes images and boxes in the images' own pixels."""

    def __init__(self, sam: Sam, *, preprocess: Preprocess, num_points: int = 10) -> None:
        self.sam = sam.eval().requires_grad_(False)
        self.preprocess = preprocess
        self.num_points = num_points

    def predict(
        self,
        image: object,
        big_boxes: object,
        small_boxes: object = None,
        *,
        prompts: PromptPolicy = "box",
        refine: Refinement = "none",
        object_ids: object = None,
    ) -> Prediction:
        """One mask for each big box of an RGB image, uint8 (height, width, 3).

        Boxes are `[x1, y1, x2, y2]` rows in image pixels. Prompts other than `box`, and `refine` by
        `both_boxes`, need the small boxes too; points in them are drawn from `object_ids` (0, 1, ...
        where not given). `refine` moves SAM's masks by the colours of each object, IoU and entropy
        stay those of SAM's own. Raises InputError for another kind of image, for a box that has no part of
        it, and for a small box that is needed and has no part of its big one.
        """
        return joined(
            self.predict_in_parts(
                image,
                big_boxes,
                small_boxes,
                prompts=prompts,
                refine=refine,
                object_ids=object_ids,
            )
        )

    @torch.inference_mode()
    def predict_in_parts(
        self,
        image: object,
        big_boxes: object,
        small_boxes: object = None,
        *,
        prompts: PromptPolicy = "box",
        refine: Refinement = "none",
        object_ids: object = None,
    ) -> Iterator[Prediction]:
        """What `predict` finds, some objects at a time: the masks of a thousand cells of a large image need not fit in memory.

        At least one part, be it empty. Raises InputError as `predict` does.
        """
        pixels = as_image(image)
        tensor, frame = self.preprocess.image(pixels)
        big = as_boxes(big_boxes, "big_boxes", frame)
        if small_boxes is None:
            if prompts != "box":
                raise InputError(f"prompts {prompts!r} need small_boxes; give them, or use 'box'")
            if refine == "both_boxes":
                mend = "give them, or use 'big_box'"
                raise InputError(f"refine {refine!r} needs small_boxes; {mend}")
        small = as_boxes(big_boxes if small_boxes is None else small_boxes, "small_boxes", frame)
        if len(big) != len(small):
            raise InputError(f"{len(big)} big boxes but {len(small)} small boxes; give one each")
        if prompts != "box" or refine == "both_boxes":
            refuse_apart(big, small)
        ids = torch.arange(len(big)) if object_ids is None else torch.as_tensor(object_ids)
        if len(ids) != len(big):
            raise InputError(f"{len(big)} big boxes but {len(ids)} object_ids; give one each")
        sample = Sample(
            tensor, frame, frame.boxes_to_input(big), frame.boxes_to_input(small), ids, None
        )
        batch = collate([sample]).to(self.sam.device)
        asked = make_prompts(batch, prompts, num_points=self.num_points, draws=Draws(0, 0))
        decoded = self.sam.decode(self.sam.encode(batch.images), batch.image_index, asked)
        for rows in torch.arange(len(big)).split(_chunk(frame)):
            logits = decoded.logits[rows]
            masks, entropy = _draw(logits, frame, masks=refine == "none")
            if refine != "none":
                masks = refine_masks(logits, pixels, frame, big[rows], small[rows], refine=refine)
            yield Prediction(masks, decoded.iou[rows].cpu(), entropy)

    def to(self, device: str | torch.device) -> "Predictor":
        self.sam.to(device)
        return self


def joined(parts: Iterable[Prediction]) -> Prediction:
    """All objects of some parts, of which there is at least one."""
    return Prediction(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def load(run_or_weights: str | Path) -> Predictor:
    """A run's adapted SAM, or any weights that `ringsam train --weights` takes."""
    folder = RunFolder(Path(run_or_weights))
    if folder.is_run():
        return load_of_run(folder, folder.path)
    sam = load_sam(run_or_weights)
    return Predictor(sam, preprocess=Preprocess(sam.input_size))


def load_of_run(folder: RunFolder, weights: Path) -> Predictor:
    """A run's adapted SAM (`folder.path`) or its `folder.original`, with the run's own preprocessing."""
    config = folder.read_config()
    sam = load_sam(weights)
    preprocess = Preprocess(sam.input_size, config.data.resize)
    return Predictor(sam, preprocess=preprocess, num_points=config.method.num_points)


def _draw(logits: Float[Tensor, "n 1 h w"], frame: Frame, *, masks: bool) -> tuple[Tensor, Tensor]:
    """Masks in the image frame (n, height, width), none without `masks`, and their entropies (n,)."""
    on_image = logits_to_image(logits, frame)
    return (on_image[: len(logits) if masks else 0] > 0).cpu(), mask_entropy(on_image).cpu()


def _chunk(frame: Frame) -> int:
    """How many masks are drawn at once, so that their logits fit in the memory allowed."""
    largest = max(frame.image_height * frame.image_width, frame.input_size**2)
    return max(1, _DRAWING_BYTES // (4 * largest))

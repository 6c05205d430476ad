"""Of which image SAM is least sure, judged without any box, while a person works."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ringsam.data.images import read_image
from ringsam.digests import sha256
from ringsam.errors import InputError
from ringsam.geometry import Frame
from ringsam.metrics import iou
from ringsam.pages.kept import KeptAnswers, key_of_model, key_of_question
from ringsam.pages.pictures import Picture
from ringsam.pages.preview import Preview
from ringsam.sam.model import Embedding, Prompts

GRID = 4  # points across and down an image
_MARGIN = 1.0  # logits; a mask that changes much within it has no sure edge
_BREATH_S = 0.002


class Doubts:
    """How unsure SAM is of each image that was judged so far."""

    def __init__(self, preview: Preview, kept: KeptAnswers) -> None:
        self.preview = preview
        self.kept = kept
        self.by_key: dict[str, float] = {}
        self._stopped = threading.Event()

    def least_sure(self, pictures: Sequence[Picture]) -> Picture | None:
        """The most doubtful of those judged; the first where none is yet."""
        judged = [picture for picture in pictures if picture.key in self.by_key]
        if judged:
            return max(judged, key=lambda picture: self.by_key[picture.key])
        return pictures[0] if pictures else None

    @contextmanager
    def judging(self, pictures: Iterable[Picture]) -> Iterator[None]:
        """Judges the images one after the other for as long as this lasts."""
        thread = threading.Thread(target=self.judge, args=[pictures], name="doubts")
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def judge(self, pictures: Iterable[Picture]) -> None:
        """An image that cannot be read has no doubt; the page says why when it is opened."""
        model = key_of_model(self.preview.predictor)
        for picture in pictures:
            try:
                self._judge(picture, model)
            except InputError:
                continue
            if self._stopped.is_set():
                return

    def _judge(self, picture: Picture, model: str) -> None:
        try:
            content = sha256(picture.path)
        except OSError as error:
            raise InputError(f"{picture.path}: cannot be read: {error.strerror}") from error
        key = key_of_question("doubt", GRID, content, model)
        found = self.kept.get(key)
        if found is None:
            found = self._ask(picture)
            if found is None:
                return
            self.by_key[picture.key] = found
            self.kept.put(key, found)
        self.by_key[picture.key] = float(found)

    @torch.inference_mode()
    def _ask(self, picture: Picture) -> float | None:
        """None where the judging was stopped meanwhile."""
        predictor = self.preview.predictor
        image, frame = predictor.preprocess.image(read_image(picture.path))
        embedding = image[None].to(predictor.sam.device)
        for stage in predictor.sam.tail().stages:
            with self._turn():
                embedding = stage(embedding)
            if self._stopped.is_set():
                return None
        with self._turn():
            return self._doubt(embedding, frame)

    def _doubt(self, embedding: Embedding, frame: Frame) -> float:
        points = grid_points(frame).to(embedding.device)
        prompts = Prompts(points=points[:, None], labels=points.new_ones(len(points), 1).int())
        index = torch.zeros(len(points), dtype=torch.long, device=embedding.device)
        logits = self.preview.predictor.sam.decode(embedding, index, prompts).logits[:, 0]
        stride = frame.input_size / logits.shape[-1]
        height, width = (max(1, round(side / stride)) for side in (frame.height, frame.width))
        cells = (points / stride).long()
        return float(doubt(logits[:, :height, :width], cells))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """SAM for one short piece of work, then a breath in which a person's own question goes first."""
        with self.preview.turn:
            yield
        time.sleep(_BREATH_S)


def grid_points(frame: Frame) -> Float[Tensor, "n 2"]:
    """Points spread evenly over the image, in the input frame."""
    along = (torch.arange(GRID) + 0.5) / GRID
    x, y = torch.meshgrid(along * frame.width, along * frame.height, indexing="xy")
    return torch.stack([x.flatten(), y.flatten()], dim=1)


def doubt(logits: Float[Tensor, "n h w"], cells: Tensor) -> Tensor:
    """How unsure the masks of n points are, in [0, 1]: 1 - mean of (sharpness * agreement).

    A mask is sharp as far as it stays the same (IoU) when its logits are shifted up and down, which is where the
    entropy is low; it agrees as far as it is the mask (IoU) of those other points which it holds and which hold its own.
    `cells` are the points' (x, y) on the grid of the logits. An empty mask is not sure at all.
    """
    masks = logits > 0
    sharp = iou(logits > _MARGIN, logits > -_MARGIN) * masks.flatten(1).any(dim=1)
    x, y = cells.unbind(dim=1)
    holds = masks[:, y.clamp(max=masks.shape[1] - 1), x.clamp(max=masks.shape[2] - 1)]  # (n, n)
    mutual = holds & holds.T & ~torch.eye(len(masks), dtype=torch.bool, device=masks.device)
    shared = (_ious(masks) * mutual).sum(dim=1)
    agreement = torch.where(mutual.any(dim=1), shared / mutual.sum(dim=1).clamp(min=1), 1.0)
    return 1 - (sharp * agreement).mean()


def _ious(masks: Bool[Tensor, "n h w"]) -> Float[Tensor, "n n"]:
    flat = masks.flatten(1).float()
    shared = flat @ flat.T
    area = flat.sum(dim=1)
    return shared / (area[:, None] + area - shared).clamp(min=1)

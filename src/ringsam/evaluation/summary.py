"""Means over objects with bootstrap intervals over images, of one model and of the pair."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ringsam.evaluation.scores import ObjectScores

FAILURE_IOU = 0.5  # below it a mask is counted as a failure
CHANGE_IOU = 0.01  # a larger difference makes an object better or worse

Interval = tuple[float, float] | None  # None where there are fewer than two images to draw from
Values = npt.NDArray[np.float64]  # (n, k)
Index = npt.NDArray[np.int64]  # (n,)
Resamples = npt.NDArray[np.int64]  # (b, images)


@dataclass(frozen=True)
class Summary:
    """Means of one model (or of the paired difference) over objects, and their 95 % intervals by name."""

    miou: float
    dice: float
    boundary_iou: float
    miou_per_image: float  # mean over images of each image's mean
    failure_share: float  # of objects with an IoU below 0.5
    failures: int
    intervals: dict[str, Interval]


@dataclass(frozen=True)
class Difference(Summary):
    """Adapted minus zero-shot on the same objects."""

    num_better: int  # by more than 0.01 IoU
    num_worse: int


@dataclass(frozen=True)
class Statistics:
    """What a summary is made of; `resamples` is shared, so that intervals of a pair are paired."""

    image_index: Index
    resamples: Resamples

    @classmethod
    def over(
        cls, image_ids: Sequence[int], *, num_resamples: int = 2000, seed: int = 0
    ) -> "Statistics":
        """For objects on these images, one id an object."""
        _, index = np.unique(np.asarray(image_ids, dtype=np.int64), return_inverse=True)
        return cls(index, resample_images(int(index.max()) + 1, num_resamples, seed))

    def summary(self, objects: Sequence[ObjectScores]) -> Summary:
        """The means of one model."""
        values = metric_values(objects)
        means, intervals = self._estimate(values)
        return Summary(**means, failures=int(values[:, 3].sum()), intervals=intervals)

    def difference(
        self, zero_shot: Sequence[ObjectScores], adapted: Sequence[ObjectScores]
    ) -> Difference:
        """The means of adapted minus zero-shot, object by object."""
        values = metric_values(adapted) - metric_values(zero_shot)
        means, intervals = self._estimate(values)
        return Difference(
            **means,
            failures=int(values[:, 3].sum()),
            intervals=intervals,
            num_better=int((values[:, 0] > CHANGE_IOU).sum()),
            num_worse=int((values[:, 0] < -CHANGE_IOU).sum()),
        )

    def _estimate(self, values: Values) -> tuple[dict[str, float], dict[str, Interval]]:
        sums, counts = image_sums(values, self.image_index)
        everything = np.ones((1, len(counts)), dtype=np.int64)
        names = ("miou", "dice", "boundary_iou", "failure_share", "miou_per_image")
        means = dict(zip(names, resampled_means(sums, counts, everything)[0].tolist(), strict=True))
        if len(counts) < 2:
            return means, dict.fromkeys(names)
        drawn = resampled_means(sums, counts, self.resamples)
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0).tolist()
        return means, dict(zip(names, zip(low, high, strict=True), strict=True))


def metric_values(objects: Sequence[ObjectScores]) -> Values:
    """A row an object: IoU, Dice, boundary IoU, and 1 for a failure."""
    rows = [(o.iou, o.dice, o.boundary_iou, float(o.iou < FAILURE_IOU)) for o in objects]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 4)


def resample_images(num_images: int, num_resamples: int, seed: int) -> Resamples:
    """How often each image is drawn in each resample, as many draws as images, with replacement."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(
        num_images, np.full(num_images, 1 / num_images), size=num_resamples
    )


def image_sums(values: Values, image_index: Index) -> tuple[Values, Index]:
    """The sum of each image's rows, and how many they are."""
    counts = np.bincount(image_index)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, image_index, values)
    return sums, counts


def resampled_means(sums: Values, counts: Index, resamples: Resamples) -> Values:
    """For each resample: the mean of every column over its objects, then the mean over images of the first column."""
    over_objects = (resamples @ sums) / (resamples @ counts)[:, None]  # (b, k)
    over_images = (resamples @ (sums[:, 0] / counts)) / len(counts)  # (b,)
    return np.concatenate([over_objects, over_images[:, None]], axis=1)

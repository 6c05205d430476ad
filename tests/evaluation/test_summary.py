import numpy as np
import pytest

from ringsam.evaluation.scores import ObjectScores
from ringsam.evaluation.summary import Statistics, image_sums, resample_images, resampled_means


def scores(values: list[float]) -> list[ObjectScores]:
    return [ObjectScores(v, v / 2, v / 4, 0.9, 0.1) for v in values]


def test_the_bootstrap_equals_drawing_whole_images_one_by_one() -> None:
    generator = np.random.default_rng(0)
    image_index = np.repeat(np.arange(5), [1, 4, 2, 7, 3])
    values = generator.random((len(image_index), 3))
    resamples = resample_images(5, 40, 1)
    sums, counts = image_sums(values, image_index)
    fast = resampled_means(sums, counts, resamples)
    for row, times in zip(fast, resamples, strict=True):
        drawn = [image for image, number in enumerate(times) for _ in range(number)]
        objects = np.concatenate([values[image_index == image] for image in drawn])
        images = [values[image_index == image, 0].mean() for image in drawn]
        assert row == pytest.approx([*objects.mean(axis=0), np.mean(images)])


def test_each_resample_draws_as_many_images_as_there_are() -> None:
    assert (resample_images(7, 100, 0).sum(axis=1) == 7).all()


def test_a_summary_weighs_objects_and_per_image_weighs_images() -> None:
    summary = Statistics.over([9, 9, 9, 4]).summary(scores([0.8, 0.8, 0.8, 0.4]))
    assert summary.miou == pytest.approx(0.7)
    assert summary.dice == pytest.approx(0.35)
    assert summary.boundary_iou == pytest.approx(0.175)
    assert summary.miou_per_image == pytest.approx(0.6)
    assert (summary.failures, summary.failure_share) == (1, 0.25)


def test_an_iou_of_one_half_is_no_failure() -> None:
    assert Statistics.over([1, 2]).summary(scores([0.5, 0.499])).failures == 1


def test_intervals_hold_the_mean_and_repeat() -> None:
    values = np.random.default_rng(3).random(60).tolist()
    images = [index // 3 for index in range(60)]
    first, again = (Statistics.over(images).summary(scores(values)) for _ in range(2))
    assert first == again
    low, high = first.intervals["miou"] or (1, 0)
    assert low < first.miou < high
    assert high - low == pytest.approx(4 * np.std(values) / 60**0.5, rel=0.4)


def test_one_image_has_no_interval() -> None:
    summary = Statistics.over([5, 5]).summary(scores([0.1, 0.9]))
    assert set(summary.intervals.values()) == {None}


def test_the_difference_is_paired() -> None:
    before = np.random.default_rng(0).random(40)
    statistics = Statistics.over(list(range(40)))
    change = statistics.difference(scores(before.tolist()), scores((before + 0.05).tolist()))
    assert change.miou == pytest.approx(0.05)
    assert change.intervals["miou"] == pytest.approx((0.05, 0.05))
    assert (change.num_better, change.num_worse) == (40, 0)


def test_changes_of_a_hundredth_are_neither_better_nor_worse() -> None:
    before, after = scores([0.5, 0.5, 0.5]), scores([0.505, 0.52, 0.48])
    change = Statistics.over([1, 2, 3]).difference(before, after)
    assert (change.num_better, change.num_worse) == (1, 1)

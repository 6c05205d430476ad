import math
from dataclasses import replace

import pytest
from made_runs import epoch

from ringsam.advice import TERMS, Advice
from ringsam.config import Config, MethodConfig
from ringsam.evaluation.advice import advise
from ringsam.evaluation.result import Evaluation, ObjectRow
from ringsam.evaluation.scores import ObjectScores
from ringsam.evaluation.summary import Statistics

CONFIG = Config(epochs=1)


def evaluation(change: float, *, num_images: int = 30, spread: float = 0.0) -> Evaluation:
    """One object an image; `spread` alternates around the change."""
    before = [ObjectScores(0.6, 0.6, 0.6, 0.6, 0.1)] * num_images
    changes = [change + spread * (-1) ** index for index in range(num_images)]
    after = [ObjectScores(0.6 + c, 0.6, 0.6, 0.6, 0.1) for c in changes]
    statistics = Statistics.over(list(range(num_images)))
    return Evaluation(
        model="run", data="here/test", prompts="box", num_images=num_images, num_objects=num_images,
        num_skipped=0, num_skipped_images=0, zero_shot=statistics.summary(before),
        adapted=statistics.summary(after), difference=statistics.difference(before, after),
        objects=tuple(
            ObjectRow(i, "a.png", i, "0", b, a) for i, (b, a) in enumerate(zip(before, after, strict=True))
        ),
    )  # fmt: skip


def texts(found: list[Advice]) -> str:
    return "\n".join(advice.text for advice in found)


def test_a_healthy_run_gets_the_good_news_alone() -> None:
    (only,) = advise(CONFIG, [epoch(1)], evaluation(0.05))
    assert only.tone == "good"
    assert "+0.0500" in only.text


def test_an_adaptation_that_harms_is_called_so() -> None:
    first, *rest = advise(CONFIG, [epoch(1)], evaluation(-0.15))
    assert first.tone == "warning"
    assert "worse than zero-shot" in first.text
    assert "30 objects more than before fell below an IoU of 0.5" in texts(rest)


def test_an_interval_around_zero_claims_nothing() -> None:
    (only,) = advise(CONFIG, [epoch(1)], evaluation(0.001, spread=0.1))
    assert only.tone == "note"
    assert "cannot be told apart" in only.text


def test_few_images_and_training_images_are_noted() -> None:
    few = replace(evaluation(0.05, num_images=5), num_learned_from=2)
    found = texts(advise(CONFIG, [epoch(1)], few))
    assert "rests on 5 images" in found
    assert "learned from 2 of the 5 images" in found


def test_few_trusted_objects_are_named_with_their_share() -> None:
    found = texts(advise(CONFIG, [epoch(1, num_trusted=3, entropy=0.31)], evaluation(0.05)))
    assert "3% of the objects were trusted" in found
    assert "mean entropy 0.310 nats" in found
    assert "method.prompts box" in found


def test_who_asks_with_boxes_is_not_told_to() -> None:
    config = Config(epochs=1, method=MethodConfig(prompts="box"))
    found = texts(advise(config, [epoch(1, num_trusted=3)], None))
    assert "Raise method.entropy_thresh." in found


def test_a_gate_that_stops_nothing_is_noted() -> None:
    assert "Every object was trusted" in texts(advise(CONFIG, [epoch(1, num_trusted=100)], None))


def test_missing_negatives_and_anchors_are_named() -> None:
    without = {"num_missed": 0, "num_spurious": 0}
    assert "500 cells of certain background" in texts(
        advise(CONFIG, [epoch(1, **without, num_background=500)], None)
    )
    assert "No epoch had negatives of any kind" in texts(
        advise(CONFIG, [epoch(1, **without)], None)
    )
    assert "No epoch had an anchor" in texts(advise(CONFIG, [epoch(1, num_anchors=0)], None))


def test_silent_steps_are_counted() -> None:
    found = texts(advise(CONFIG, [epoch(1, num_steps_without_signal=4)], None))
    assert "4 of 10 steps (40%)" in found


def test_a_recipe_without_the_contrast_is_not_told_what_the_contrast_lacks() -> None:
    config = Config(epochs=1, method=MethodConfig(alpha=0.0, self_training=1.0))
    lacking = epoch(1, num_trusted=0, num_anchors=0, num_missed=0, num_spurious=0)
    (only,) = advise(config, [lacking], evaluation(0.05))
    assert only.tone == "good"


@pytest.mark.parametrize("term", TERMS)
def test_every_term_that_is_no_number_is_told(term) -> None:
    found = texts(advise(CONFIG, [epoch(1), epoch(2, **{term: math.nan})], None))
    assert "The loss was not a number from epoch 2 on" in found


def test_a_fall_of_the_mask_free_quality_is_named_and_noise_is_not() -> None:
    def said(quality: float) -> str:
        row = epoch(2, mask_free_quality=quality, mask_free_quality_before=0.9)
        return texts(advise(CONFIG, [epoch(1), row], evaluation(0.05)))

    assert "was 0.850 in epoch 2, 0.900 at best before" in said(0.85)
    assert "lower optim.lr_encoder" in said(0.85)
    assert "mask-free" not in said(0.86)

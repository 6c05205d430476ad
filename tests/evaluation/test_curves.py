"""The curves of a run: every figure that its log has, and no empty charts."""

from ringsam.evaluation.curves import training_charts
from ringsam.training.epoch_log import TERMS


def titles(**figures: float) -> list[str]:
    epochs = [{"epoch": float(n), **figures} for n in (1, 2)]
    return [chart.title for chart in training_charts(epochs)]


def test_every_loss_that_trains_has_a_chart():
    for term in TERMS:
        assert len(titles(**{term: 0.5})) == len(titles()) + 1, term


def test_the_quality_that_chooses_the_epoch_is_drawn():
    assert titles(mask_free_quality=0.8)[0] == "Mask-free quality, held-out images"


def test_what_was_not_logged_has_no_chart():
    assert "Contrast inside the decoder" not in titles(contrast=1.0)

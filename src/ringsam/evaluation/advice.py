"""Plain words on a run: whether it helped, and where signal was missing."""

from collections.abc import Iterator, Sequence

from ringsam.advice import Advice, Epoch, on_training
from ringsam.config import Config
from ringsam.evaluation.result import Evaluation
from ringsam.evaluation.summary import FAILURE_IOU

FEW_IMAGES = 20


def advise(config: Config, epochs: Sequence[Epoch], evaluation: Evaluation | None) -> list[Advice]:
    """Everything worth saying, the result first, then the warnings."""
    found = [*_on_result(evaluation), *on_training(config, epochs)]
    return found[:1] + sorted(found[1:], key=lambda advice: advice.tone != "warning")


def _on_result(evaluation: Evaluation | None) -> Iterator[Advice]:
    if evaluation is None:
        yield Advice(
            "no_evaluation",
            "note",
            "No evaluation was made, so this page cannot say whether the adaptation helped. "
            "Look at the masks before and after with ringsam review; where some images have masks, run "
            "ringsam evaluate on them, then make the report again.",
        )
        return
    yield from _on_change(evaluation)
    if evaluation.num_images < FEW_IMAGES:
        yield Advice(
            "few_images",
            "note",
            f"The evaluation rests on {_count(evaluation.num_images, 'image')}: intervals from so few "
            "tend to be too narrow.",
        )
    if evaluation.num_learned_from:
        yield Advice(
            "learned_from",
            "warning",
            f"The run learned from {evaluation.num_learned_from} of the {evaluation.num_images} images that it was "
            "evaluated on, which flatters it; images that the training has not seen say more about new ones.",
        )


def _on_change(evaluation: Evaluation) -> Iterator[Advice]:
    change = evaluation.difference
    if change is None:
        return
    interval = change.intervals["miou"]
    low, high = interval or (change.miou, change.miou)
    bounds = f"95 % interval {low:+.4f} to {high:+.4f}" if interval else "one image, no interval"
    moved = f"the mean IoU changed by {change.miou:+.4f} ({bounds})"
    if interval is None or low <= 0 <= high:
        yield Advice("change", "note", f"Adapted and zero-shot cannot be told apart here: {moved}.")
    elif low > 0:
        yield Advice("change", "good", f"Adapted is better than zero-shot: {moved}.")
    else:
        yield Advice(
            "change",
            "warning",
            f"Adapted is worse than zero-shot: {moved}. Keep the original weights, or adapt more "
            "gently: fewer epochs, a lower optim.lr_encoder, a higher method.gamma, or another method.prompts.",
        )
    if change.failures > 0:
        yield Advice(
            "failures",
            "warning",
            f"{_count(change.failures, 'object')} more than before fell below an IoU of {FAILURE_IOU:g}; "
            "look at those that got worse.",
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")

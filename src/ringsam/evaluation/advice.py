"""Plain words on a run: where signal is missing, and whether it helped."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from ringsam.config import Config
from ringsam.evaluation.result import Evaluation
from ringsam.evaluation.summary import FAILURE_IOU

Epoch = Mapping[str, float]

FEW_TRUSTED = 0.2
MANY_SILENT_STEPS = 0.1
FEW_IMAGES = 20


class Advice(NamedTuple):
    """One sentence or two; `tone` good, note or warning."""

    tone: Literal["good", "note", "warning"]
    text: str


def advise(
    config: Config,
    epochs: Sequence[Epoch],
    evaluation: Evaluation | None,
    *,
    trained_on: str | None = None,
) -> list[Advice]:
    """Everything worth saying, the result first, then the warnings."""
    found = [*_on_result(evaluation, trained_on), *_on_training(config, epochs)]
    return found[:1] + sorted(found[1:], key=lambda advice: advice.tone != "warning")


def _on_result(evaluation: Evaluation | None, trained_on: str | None) -> Iterator[Advice]:
    if evaluation is None:
        yield Advice(
            "note",
            "No evaluation was made, so this page cannot say whether the adaptation helped. "
            "Look at the masks before and after with ringsam review; where some images have masks, run "
            "ringsam evaluate on them, then make the report again.",
        )
        return
    yield from _on_change(evaluation)
    if evaluation.num_images < FEW_IMAGES:
        yield Advice(
            "note",
            f"The evaluation rests on {_count(evaluation.num_images, 'image')}: intervals from so few "
            "tend to be too narrow.",
        )
    if trained_on is not None and evaluation.data == trained_on:
        yield Advice(
            "note",
            "The evaluation was made on the data set of the training; images that the training "
            "has not seen say more about new ones.",
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
        yield Advice("note", f"Adapted and zero-shot cannot be told apart here: {moved}.")
    elif low > 0:
        yield Advice("good", f"Adapted is better than zero-shot: {moved}.")
    else:
        yield Advice(
            "warning",
            f"Adapted is worse than zero-shot: {moved}. Keep the original weights, or adapt more "
            "gently: fewer epochs, a lower optim.lr_encoder, a higher method.gamma, or another method.prompts.",
        )
    if change.failures > 0:
        yield Advice(
            "warning",
            f"{_count(change.failures, 'object')} more than before fell below an IoU of {FAILURE_IOU:g}; "
            "look at those that got worse.",
        )


def _on_training(config: Config, epochs: Sequence[Epoch]) -> Iterator[Advice]:
    if not epochs:
        yield Advice("warning", "No epoch has finished yet; there are no curves to show.")
        return
    if len(epochs) < config.epochs:
        yield Advice(
            "note",
            f"{len(epochs)} of {config.epochs} epochs have finished; ringsam resume goes on with them.",
        )
    broken = [
        epoch
        for epoch in epochs
        if not math.isfinite(epoch.get("contrast", 0.0) + epoch.get("distill", 0.0))
    ]
    if broken:
        yield Advice(
            "warning",
            f"The loss was not a number from epoch {broken[0].get('epoch', 0):g} on: lower "
            "optim.lr_encoder, or train with hardware.precision 32-true.",
        )
    yield from _on_trust(config, epochs[-1])
    yield from _on_negatives(epochs)
    yield from _on_silence(epochs)


def _on_trust(config: Config, epoch: Epoch) -> Iterator[Advice]:
    share = ratio(epoch, "num_trusted", "num_objects")
    if share is None:
        return
    entropy, limit = epoch.get("entropy", math.nan), config.method.entropy_thresh
    told = f"mean entropy {entropy:.3f} nats, method.entropy_thresh {limit:g}"
    if share < FEW_TRUSTED:
        surer = (
            ", or try method.prompts box, which makes surer masks"
            if config.method.prompts == "ring"
            else ""
        )
        yield Advice(
            "warning",
            f"{share:.0%} of the objects were trusted in the last epoch ({told}): the contrast learned from "
            f"these alone. Raise method.entropy_thresh{surer}.",
        )
    elif share == 1.0:
        yield Advice(
            "note",
            f"Every object was trusted in the last epoch ({told}): the threshold turned nothing away. The mean "
            "runs over the whole image, so small objects pass even when their masks are wrong.",
        )


def _on_negatives(epochs: Sequence[Epoch]) -> Iterator[Advice]:
    if total(epochs, "num_anchors") == 0:
        yield Advice(
            "warning",
            "No epoch had an anchor: no trusted mask covered a cell of its small box, so the contrast was "
            "zero. Raise method.entropy_thresh, or try method.prompts box+core.",
        )
    if total(epochs, "num_missed") + total(epochs, "num_spurious") > 0:
        return
    background = total(epochs, "num_background")
    if background > 0:
        yield Advice(
            "note",
            "No epoch had hard negatives: trusted masks filled their small boxes and stayed in their big "
            f"ones. The contrast used {background:,.0f} cells of certain background instead.",
        )
    else:
        yield Advice(
            "warning",
            "No epoch had negatives of any kind, so the contrast was zero: the big boxes leave no "
            "certain background. Add images with free space around the objects.",
        )


def _on_silence(epochs: Sequence[Epoch]) -> Iterator[Advice]:
    silent, steps = total(epochs, "num_steps_without_signal"), total(epochs, "num_steps")
    if steps and silent / steps > MANY_SILENT_STEPS:
        yield Advice(
            "warning",
            f"{silent:,.0f} of {steps:,.0f} steps ({silent / steps:.0%}) had nothing to learn from and moved no "
            "weight. A larger optim.batch_size gathers signal from more images.",
        )


def ratio(epoch: Epoch, part: str, whole: str) -> float | None:
    """The share of one count in another; None where the whole is zero or was not logged."""
    return epoch[part] / epoch[whole] if epoch.get(whole) and part in epoch else None


def total(epochs: Sequence[Epoch], key: str) -> float:
    return sum(epoch.get(key, 0.0) for epoch in epochs)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")

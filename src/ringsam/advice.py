"""Plain words on the figures of training: where signal is missing, and which setting to change."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from ringsam.config import Config

Epoch = Mapping[str, float]

TERMS = ("contrast", "distill", "self_training", "box_constraint", "pixel_contrast")  # that train
FEW_TRUSTED = 0.2
MANY_SILENT_STEPS = 0.1
FALL = 0.05  # of the best mask-free quality so far: below it, more than the noise of a few held-out objects


class Advice(NamedTuple):
    """One sentence or two; `kind` tells what they are about, `tone` is good, note or warning."""

    kind: str
    tone: Literal["good", "note", "warning"]
    text: str


def on_training(config: Config, epochs: Sequence[Epoch]) -> Iterator[Advice]:
    """What the epochs so far give reason to say."""
    if not epochs:
        yield Advice(
            "no_epoch", "warning", "No epoch has finished yet; there are no curves to show."
        )
        return
    if len(epochs) < config.epochs:
        yield Advice(
            "unfinished",
            "note",
            f"{len(epochs)} of {config.epochs} epochs have finished; ringsam resume goes on with them.",
        )
    yield from _on_numbers(epochs)
    yield from _on_quality(epochs[-1])
    if config.method.alpha:  # else neither trust nor negatives train anything
        yield from _on_trust(config, epochs[-1])
        yield from _on_negatives(epochs)
    yield from _on_silence(epochs)


def _on_numbers(epochs: Sequence[Epoch]) -> Iterator[Advice]:
    broken = [
        epoch for epoch in epochs if not math.isfinite(sum(epoch.get(term, 0.0) for term in TERMS))
    ]
    if broken:
        yield Advice(
            "not_finite",
            "warning",
            f"The loss was not a number from epoch {broken[0].get('epoch', 0):g} on: lower "
            "optim.lr_encoder, or train with hardware.precision 32-true.",
        )


def _on_quality(epoch: Epoch) -> Iterator[Advice]:
    quality, before = epoch.get("mask_free_quality"), epoch.get("mask_free_quality_before")
    if quality is None or before is None or quality >= (1 - FALL) * before:
        return
    yield Advice(
        "quality_fell",
        "warning",
        f"The mask-free quality of the held-out images was {quality:.3f} {_when(epoch)}, {before:.3f} at best "
        "before: training takes the masks away from their boxes. The best epoch is kept; lower optim.lr_encoder, or "
        "raise method.gamma.",
    )


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
            "few_trusted",
            "warning",
            f"{share:.0%} of the objects were trusted {_when(epoch)} ({told}): the contrast learned from "
            f"these alone. Raise method.entropy_thresh{surer}.",
        )
    elif share == 1.0:
        yield Advice(
            "all_trusted",
            "note",
            f"Every object was trusted {_when(epoch)} ({told}): the threshold turned nothing away. The mean "
            "runs over the whole image, so small objects pass even when their masks are wrong.",
        )


def _on_negatives(epochs: Sequence[Epoch]) -> Iterator[Advice]:
    if total(epochs, "num_anchors") == 0:
        yield Advice(
            "no_anchors",
            "warning",
            "No epoch had an anchor: no trusted mask covered a cell of its small box, so the contrast was "
            "zero. Raise method.entropy_thresh, or try method.prompts box+core.",
        )
    if total(epochs, "num_missed") + total(epochs, "num_spurious") > 0:
        return
    background = total(epochs, "num_background")
    if background > 0:
        yield Advice(
            "only_background",
            "note",
            "No epoch had hard negatives: trusted masks filled their small boxes and stayed in their big "
            f"ones. The contrast used {background:,.0f} cells of certain background instead.",
        )
    else:
        yield Advice(
            "no_negatives",
            "warning",
            "No epoch had negatives of any kind, so the contrast was zero: the big boxes leave no "
            "certain background. Add images with free space around the objects.",
        )


def _on_silence(epochs: Sequence[Epoch]) -> Iterator[Advice]:
    silent, steps = total(epochs, "num_steps_without_signal"), total(epochs, "num_steps")
    if steps and silent / steps > MANY_SILENT_STEPS:
        yield Advice(
            "silent_steps",
            "warning",
            f"{silent:,.0f} of {steps:,.0f} steps ({silent / steps:.0%}) had nothing to learn from and moved no "
            "weight. A larger optim.batch_size gathers signal from more images.",
        )


def ratio(epoch: Epoch, part: str, whole: str) -> float | None:
    """The share of one count in another; None where the whole is zero or was not logged."""
    return epoch[part] / epoch[whole] if epoch.get(whole) and part in epoch else None


def total(epochs: Sequence[Epoch], key: str) -> float:
    return sum(epoch.get(key, 0.0) for epoch in epochs)


def _when(epoch: Epoch) -> str:
    return f"in epoch {epoch['epoch']:g}" if "epoch" in epoch else "in the last epoch"

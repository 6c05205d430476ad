"""The training as charts and as a table: losses, monitors and the signal ledger of each epoch."""

import math
from collections.abc import Callable, Mapping, Sequence

from ringsam.advice import ratio
from ringsam.evaluation.charts import Chart, Line, Value, line_chart

Epoch = Mapping[str, float]

PSEUDO_NOTE = "Against the teacher's masks: the data had no ground truth in training."

_LEDGER = {
    "epoch": "epoch",
    "num_objects": "objects",
    "num_trusted": "trusted",
    "entropy": "entropy (nats)",
    "num_anchors": "anchors",
    "num_missed": "missed",
    "num_spurious": "spurious",
    "num_background": "background",
    "num_steps_without_signal": "silent steps",
    "num_steps": "steps",
    "seconds": "seconds",
}


def training_charts(epochs: Sequence[Epoch]) -> list[Chart]:
    """A small chart for each figure of the log that is there."""
    if not epochs:
        return []
    places = [epoch.get("epoch", index + 1.0) for index, epoch in enumerate(epochs)]

    def chart(title: str, y_title: str, *lines: Line, note: str = "") -> Chart | None:
        return line_chart(title, lines, y_title=y_title, epochs=places, note=note)

    def ledger_chart(title: str, y_title: str, *lines: Line) -> Chart | None:
        return line_chart(title, lines, y_title=y_title, epochs=places, y_from=0.0)

    def column(key: str) -> list[Value]:
        return [epoch.get(key) for epoch in epochs]

    trusted = [ratio(epoch, "num_trusted", "num_objects") for epoch in epochs]
    missed, spurious = column("num_missed"), column("num_spurious")
    drawn = [
        *(chart(title, unit, Line("", column(key))) for title, unit, key in _LOSSES),
        *(_monitor(chart, column, *names) for names in _MONITORS),
        ledger_chart("Trusted objects", "share of objects", Line("", trusted)),
        chart("Mask entropy of the teacher", "nats, mean of objects", Line("", column("entropy"))),
        ledger_chart("Anchors", "cells per epoch", Line("", column("num_anchors"))),
        ledger_chart(
            "Hard negatives",
            "cells per epoch",
            Line("missed", missed),
            Line("spurious", spurious, "b"),
        ),
        ledger_chart(
            "Certain background", "cells per epoch", Line("", column("num_background"), "c")
        ),
        ledger_chart("Steps without signal", "steps", Line("", column("num_steps_without_signal"))),
        ledger_chart("Time", "seconds per epoch", Line("", column("seconds"))),
    ]
    return [one for one in drawn if one is not None]


def ledger_table(epochs: Sequence[Epoch]) -> tuple[list[str], list[list[str]]]:
    """Titles and cells, a row an epoch, of what any epoch logged; what one did not is a dash."""
    keys = [key for key in _LEDGER if any(key in epoch for epoch in epochs)]
    rows = [[_cell(epoch.get(key), key) for key in keys] for epoch in epochs]
    return [_LEDGER[key] for key in keys], rows


_LOSSES = (
    ("Mask-free quality, held-out images", "0 to 1", "mask_free_quality"),
    ("Masks against their targets", "cross-entropy + Dice", "self_training"),
    ("Masks against the boxes", "cross-entropy", "box_constraint"),
    ("Contrast inside the decoder", "InfoNCE", "pixel_contrast"),
    ("Contrast loss", "InfoNCE", "contrast"),
    ("Distillation loss", "mean squared error", "distill"),
)
_MONITORS = (
    ("mIoU in training", "IoU", "miou"),
    ("Mask loss (monitor)", "BCE + Dice", "mask_loss"),
    ("IoU loss (monitor)", "mean squared error", "iou_loss"),
)


def _monitor(
    chart: Callable[..., Chart | None],
    column: Callable[[str], list[Value]],
    title: str,
    y_title: str,
    key: str,
) -> Chart | None:
    """The monitor against the ground truth, else the one against the pseudo-labels, which says so."""
    known = chart(title, y_title, Line("", column(key)))
    if known is not None:
        return known
    return chart(f"{title}, pseudo", y_title, Line("", column(f"{key}_pseudo")), note=PSEUDO_NOTE)


def _cell(value: Value, key: str) -> str:
    if value is None or not math.isfinite(value):
        return "-" if value is None else "not a number"
    if key == "entropy":
        return f"{value:.4f}"
    return f"{value:,.1f}" if key == "seconds" else f"{value:,.0f}"

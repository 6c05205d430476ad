"""An evaluation on the terminal."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ringsam.data.findings import shown
from ringsam.evaluation.result import Evaluation
from ringsam.evaluation.summary import CHANGE_IOU, FAILURE_IOU, Interval, Summary

METRIC_TITLES = {
    "miou": "mIoU",
    "dice": "Dice",
    "boundary_iou": "boundary IoU",
    "miou_per_image": "mIoU, mean of images",
    "failure_share": f"failures (IoU < {FAILURE_IOU:g})",
}
_TABLE_WIDTH = 104


def print_evaluation(evaluation: Evaluation, console: Console | None = None) -> None:
    """Every metric with its interval, zero-shot beside adapted; plain aligned text where there is no terminal."""
    console = console or Console()
    if console.width < _TABLE_WIDTH:  # a figure cut short would be another figure
        on_terminal = console.is_terminal
        console = Console(file=console.file, width=_TABLE_WIDTH, force_terminal=on_terminal)
    console.print(Text(headline(evaluation)), soft_wrap=True)
    table = metrics_table(evaluation, style=box.SIMPLE if console.is_terminal else None)
    console.print(table)
    for line in notes(evaluation):
        console.print(Text(line), soft_wrap=True)


def headline(evaluation: Evaluation) -> str:
    counts = f"{evaluation.num_objects} objects on {evaluation.num_images} images"
    return f"{shown(evaluation.data)}: {counts}, {evaluation.asked}"


def metrics_table(evaluation: Evaluation, *, style: box.Box | None) -> Table:
    """A row a metric; the columns of adapted SAM only where there is one."""
    pair = [evaluation.adapted, evaluation.difference] if evaluation.adapted else []
    titles = ["zero-shot", "adapted", "difference"][: 1 + len(pair)]
    table = Table(box=style, pad_edge=False)
    table.add_column("mean [95 % interval]", no_wrap=True)
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for name, metric_title in METRIC_TITLES.items():
        cells = [
            cell(summary, name, signed=summary is evaluation.difference)
            for summary in [evaluation.zero_shot, *pair]
            if summary is not None
        ]
        table.add_row(metric_title, *(Text(text) for text in cells))
    return table


def cell(summary: Summary, name: str, *, signed: bool) -> str:
    value: float = getattr(summary, name)
    return f"{number(value, signed=signed)} {interval_text(summary.intervals[name], signed=signed)}"


def number(value: float, *, signed: bool = False) -> str:
    return f"{value:+.4f}" if signed else f"{value:.4f}"


def interval_text(interval: Interval, *, signed: bool = False) -> str:
    if interval is None:
        return "[one image: no interval]"
    low, high = (number(bound, signed=signed) for bound in interval)
    return f"[{low}, {high}]"


def notes(evaluation: Evaluation) -> list[str]:
    """What the table leaves out: failures, who changed, who was skipped, what was seen in training."""
    failures = f"{evaluation.zero_shot.failures} zero-shot"
    if evaluation.adapted:
        failures += f", {evaluation.adapted.failures} adapted"
    lines = [f"failures: {failures} of {evaluation.num_objects} objects"]
    if change := evaluation.difference:
        same = evaluation.num_objects - change.num_better - change.num_worse
        counts = f"{change.num_better} better, {change.num_worse} worse, {same} within {CHANGE_IOU:g} IoU"
        lines.append(f"objects: {counts}")
    if evaluation.num_skipped or evaluation.num_skipped_images:
        without = f"{evaluation.num_skipped} objects without a mask"
        lines.append(f"skipped: {without}, {evaluation.num_skipped_images} images without any")
    if seen := evaluation.num_learned_from:
        lines.append(f"the run learned from {seen} of the {evaluation.num_images} images")
    return lines

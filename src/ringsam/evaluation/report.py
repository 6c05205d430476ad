"""`ringsam report`: one page, offline, that tells a person what a run did and whether it helped."""

import base64
import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from ringsam.config import Config, setting_names
from ringsam.errors import InputError
from ringsam.evaluation import charts
from ringsam.evaluation.advice import advise
from ringsam.evaluation.curves import ledger_table, training_charts
from ringsam.evaluation.overlays import Key, Overlay, make_overlays
from ringsam.evaluation.result import Evaluation, ObjectRow, read_evaluation
from ringsam.evaluation.sheets import read_sheets
from ringsam.evaluation.summary import CHANGE_IOU
from ringsam.evaluation.table import METRIC_TITLES, cell, notes, number
from ringsam.files import write_atomically
from ringsam.provenance import data_of, recipe_name, short_place, short_weights
from ringsam.runs import RunFolder

_PAGE = Path(__file__).parent / "page"
NUM_EXAMPLES = 6


def write_report(run: RunFolder, *, path: Path | None = None) -> Path:
    """The page of a run, `report.html` in its folder; without an evaluation it shows the training alone."""
    config = run.read_config()
    epochs = run.read_epochs()
    evaluation = read_evaluation(run.evaluation) if run.evaluation.is_file() else None
    groups = example_groups(evaluation)
    overlays, lost = draw_examples(run, evaluation, groups)
    sheets, sheets_lost = read_sheets(run, epochs)
    ledger_titles, ledger = ledger_table(epochs)
    page = render(
        data_name=short_place(data_of(run)),
        weights=short_weights(config.weights),
        recipe=recipe_name(config),
        config=config,
        advice=advise(config, epochs, evaluation),
        evaluation=evaluation,
        evaluated_on=short_place(evaluation.data) if evaluation else None,
        metrics=metric_rows(evaluation),
        notes=notes(evaluation) if evaluation else [],
        iou_charts=iou_charts(evaluation),
        groups=groups,
        classes=sorted({row.category for _, rows in groups for row in rows}),
        overlays=overlays,
        lost=lost,
        curves=training_charts(epochs),
        sheets=sheets,
        sheets_lost=sheets_lost,
        ledger_titles=ledger_titles,
        ledger=ledger,
        settings=changed_settings(config),
    )
    write_atomically(path or run.report, page)
    return path or run.report


def render(**content: Any) -> str:
    """The page's HTML; every value is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    frame = {"width": charts.WIDTH, "height": charts.HEIGHT, "left": charts.LEFT}
    frame |= {"right": charts.WIDTH - charts.RIGHT, "top": charts.TOP}
    frame |= {"bottom": charts.HEIGHT - charts.BOTTOM}
    template = environment.get_template("report.html.j2")
    script = (_PAGE / "report.js").read_text(encoding="utf-8")
    own = {"script": Markup(script), "script_digest": content_digest(script)}
    return template.render(frame=frame, number=number, version=version("ringsam"), **own, **content)


def content_digest(text: str) -> str:
    """What a page's Content-Security-Policy lets in of scripts: this one, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def example_groups(evaluation: Evaluation | None) -> list[tuple[str, list[ObjectRow]]]:
    """The objects worth a look: most improved, most worsened, worst and best after the adaptation."""
    if evaluation is None or evaluation.adapted is None:
        return []
    by_change = sorted(evaluation.objects, key=change)
    by_iou = sorted(evaluation.objects, key=lambda row: row.adapted.iou if row.adapted else 0.0)
    better = [row for row in by_change[::-1][:NUM_EXAMPLES] if change(row) > CHANGE_IOU]
    worse = [row for row in by_change[:NUM_EXAMPLES] if change(row) < -CHANGE_IOU]
    groups = [
        ("Most improved", better),
        ("Most worsened", worse),
        ("Lowest IoU after the adaptation", by_iou[:NUM_EXAMPLES]),
        ("Highest IoU after the adaptation", by_iou[: NUM_EXAMPLES - 1 : -1][:NUM_EXAMPLES]),
    ]
    return [(title, rows) for title, rows in groups if rows]


def change(row: ObjectRow) -> float:
    return row.adapted.iou - row.zero_shot.iou if row.adapted else 0.0


def draw_examples(
    run: RunFolder, evaluation: Evaluation | None, groups: list[tuple[str, list[ObjectRow]]]
) -> tuple[dict[Key, Overlay], str | None]:
    """The overlays of the groups' objects, and the reason where they cannot be drawn."""
    if evaluation is None:
        return {}, None
    try:
        return make_overlays(run, evaluation, [row for _, rows in groups for row in rows]), None
    except InputError as error:
        return {}, str(error)


def metric_rows(evaluation: Evaluation | None) -> list[tuple[str, list[str]]]:
    """A row a metric: its title, then zero-shot, adapted and difference as text."""
    if evaluation is None:
        return []
    summaries = [evaluation.zero_shot, evaluation.adapted, evaluation.difference]
    return [
        (
            title,
            [cell(s, name, signed=s is evaluation.difference) for s in summaries if s is not None],
        )
        for name, title in METRIC_TITLES.items()
    ]


def iou_charts(evaluation: Evaluation | None) -> list[charts.Chart]:
    """Every object's IoU before against after, and how both are distributed."""
    if evaluation is None or evaluation.adapted is None:
        return []
    before = [row.zero_shot.iou for row in evaluation.objects]
    after = [row.adapted.iou for row in evaluation.objects if row.adapted]
    series = [charts.Line("zero-shot", before, "zero"), charts.Line("adapted", after, "adapted")]
    return [
        charts.scatter_chart("Each object, before and after", before, after),
        charts.histogram_chart("How the objects spread", series),
    ]


def changed_settings(config: Config) -> list[tuple[str, str, str]]:
    """Name, value and default of every setting that is not at its default."""
    default = Config()
    rows = [(name, _setting(config, name), _setting(default, name)) for name in setting_names()]
    return [(name, str(value), str(usual)) for name, value, usual in rows if value != usual]


def _setting(config: Config, name: str) -> object:
    value: object = config
    for part in name.split("."):
        value = getattr(value, part)
    return value

"""What each command does: its arguments are its flags, its docstring is its help."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from pydantic import ValidationError

from ringsam.config import (
    DEFAULT_RECIPE,
    Config,
    ExportFormat,
    MaskFormat,
    Precision,
    PromptPolicy,
    read_recipe,
)
from ringsam.errors import InputError

Folder = Annotated[Path, tyro.conf.Positional]


@dataclass
class DoctorArguments:
    """Take one dry step on the data at hand and show that each part of the method does what it should."""

    data: Folder
    """A folder with images/ and two_boxes.json (else annotations.json), or the JSON itself."""
    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)
    recipe: str = DEFAULT_RECIPE
    """A bundled recipe's name (best, seed) or a YAML file; flags win over it."""


Parsed = TypeVar("Parsed", bound=DoctorArguments)


@dataclass
class PlanArguments(DoctorArguments):
    """Count what a training step takes in memory, and say how many images at once fit this machine."""


@dataclass(kw_only=True)
class TrainArguments(DoctorArguments):
    """Adapt SAM to a folder of images with two boxes per object; writes a run folder."""

    out: Path
    """The run folder to make."""


def train(arguments: list[str]) -> int:
    parsed = _with_recipe(TrainArguments, "train", arguments, out=tyro.MISSING)
    from ringsam.training.run import train as run_training

    run_training(parsed.data, parsed.out, parsed.config)
    return 0


def plan(arguments: list[str]) -> int:
    parsed = _with_recipe(PlanArguments, "plan", arguments)
    from ringsam.data.dataset import read_two_boxes
    from ringsam.training.plan import make_plan

    made = make_plan(read_two_boxes(parsed.data), parsed.config)
    print(made.text())
    return 0 if made.chosen else 2


def doctor(arguments: list[str]) -> int:
    parsed = _with_recipe(DoctorArguments, "doctor", arguments)
    from ringsam.training.doctor import examine

    worst = 0
    for finding in examine(parsed.data, parsed.config):
        print(f"{finding.verdict:<5} {finding.topic:<15} {finding.text}", flush=True)
        worst = max(worst, 2 if finding.verdict == "bad" else 0)
    return worst


def resume(
    run: Folder,
    devices: int | None = None,
    precision: Precision | None = None,
    allow_change: bool = False,
) -> int:
    """Go on with a run that was interrupted, exactly as if it had not been.

    Args:
        run: The run folder.
        devices: Go on with so many devices per node; a step has the same images.
        precision: Go on in this arithmetic.
        allow_change: Go on although labels, images or settings are not what the run was started with; the changes are shown.
    """
    from ringsam.training.run import resume as resume_training

    resume_training(run, devices=devices, precision=precision, allow_change=allow_change)
    return 0


def import_(
    source: Folder, out: Path, images: Path | None = None, single_boxes: bool = False
) -> int:
    """Labels of other tools become two_boxes.json: COCO, CSV, YOLO, Pascal VOC, LabelMe, Label Studio, CVAT.

    Args:
        source: A file of labels, or a folder of them.
        out: The folder with the images, or a JSON to write beside them.
        images: Where in that folder the images lie, if names alone do not tell.
        single_boxes: Each box is an object of its own, also where one lies in another.
    """
    from ringsam.data.formats import import_labels

    print(import_labels(source, out, images=images, single_boxes=single_boxes))
    return 0


def annotate(
    images: Folder, out: Path, weights: str = "nano", host: str = "127.0.0.1", port: int = 0
) -> int:
    """Draw two boxes per object on a local page; every object is saved as soon as it is drawn.

    Args:
        images: The folder of the images.
        out: The JSON to make or to go on with; my_images/two_boxes.json for my_images/images.
        weights: What previews the masks: a run folder, or any weights that `ringsam train --weights` takes.
        host: The address to serve at; the printed link carries the token that lets its holder in.
        port: The port to serve at; 0 takes a free one.
    """
    from ringsam.annotate import annotate as serve_page

    print(serve_page(images, out, weights=weights, host=host, port=port))
    return 0


def review(
    run: Folder, images: Folder, boxes: Path, out: Path, host: str = "127.0.0.1", port: int = 0
) -> int:
    """Look at a run's masks on a local page, most doubtful first: accept, redraw or reject each.

    Args:
        run: The run folder; its masks are shown beside those of the SAM it began with.
        images: The folder of the images.
        boxes: COCO JSON with big_box and small_box per object.
        out: The JSON of accepted masks to make or to go on with, beside the boxes.
        host: The address to serve at; the printed link carries the token that lets its holder in.
        port: The port to serve at; 0 takes a free one.
    """
    from ringsam.review import review as serve_page

    print(serve_page(run, images, boxes, out, host=host, port=port))
    return 0


def check(data: Folder, fix: bool = False) -> int:
    """List every bad row of a data set: file, object, reason, mend.

    Args:
        data: A folder with images/ and two_boxes.json (else annotations.json), or the JSON itself.
        fix: Swap the corners of inverted boxes first; the JSON as it was stays beside it.
    """
    from ringsam.data.check import check as check_data
    from ringsam.data.mending import swap_inverted

    if fix:
        print(f"{swap_inverted(data)} inverted boxes swapped")
    result = check_data(data)
    print(result.text())
    return 2 if result.errors else 0


def evaluate(
    run: Folder, data: Folder, prompts: PromptPolicy = "box", json: Path | None = None
) -> int:
    """Compare zero-shot with adapted SAM on the same images and prompts; needs masks.

    Args:
        run: A run folder, or any weights that `ringsam train --weights` takes.
        data: A data set whose objects have masks.
        prompts: What SAM is asked with.
        json: Write every figure here too.
    """
    from ringsam.evaluation.evaluate import evaluate as run_evaluation
    from ringsam.evaluation.result import write_evaluation
    from ringsam.evaluation.table import print_evaluation

    evaluation = run_evaluation(run, data, prompts=prompts)
    print_evaluation(evaluation)
    if json is not None:
        write_evaluation(evaluation, json)
    return 0


@dataclass
class BenchArguments:
    """What to compare."""

    root: Folder
    """One folder a data set, each with train/two_boxes.json and test/annotations.json, and their images/."""
    out: Path
    """Where the runs and the table go."""
    recipes: tuple[str, ...] = ("grabcut", "seed", "best")
    """Bundled recipes, YAML files, and grabcut: what the two boxes give without any model."""
    seeds: tuple[int, ...] = (0, 1, 2)
    epochs: int = 5
    weights: str = "nano"
    """What each run begins with: anything that `ringsam train --weights` takes."""
    input_size: int | None = None
    """Side of the input frame in pixels; the model's own where not given."""
    data: tuple[str, ...] | None = None
    """The data sets of ROOT to take; all of them where not given."""
    jobs: int = 1
    """Runs at a time; the cores are shared out among them."""


def bench(arguments: Annotated[BenchArguments, tyro.conf.arg(name="")]) -> int:
    """Compare recipes on data sets with masks in their test parts: one table, one drawing.

    Each is trained from two boxes; nothing is trained or chosen on the masks. A finished run is read, not run again.
    """
    from ringsam.bench.runs import Bench
    from ringsam.bench.runs import bench as run_bench

    options = {name: value for name, value in vars(arguments).items() if name != "out"}
    wanted = Bench(**options, runs=arguments.out)
    recipes, seeds = " ".join(wanted.recipes), " ".join(map(str, wanted.seeds))
    typed = f"ringsam bench {wanted.root} --out {wanted.runs} --recipes {recipes} --seeds {seeds}"
    table = run_bench(wanted, arguments.out / "table.md", f"{typed} --epochs {wanted.epochs}")
    print(table.read_text(encoding="utf-8"), end="")
    return 0


def report(run: Folder) -> int:
    """Write one offline page: curves, table, best and worst objects.

    Args:
        run: A run folder; the page shows its last evaluation.
    """
    from ringsam.evaluation.report import write_report
    from ringsam.runs import RunFolder

    print(write_report(RunFolder(run)))
    return 0


def predict(
    run: Folder,
    images: Folder,
    boxes: Path,
    out: Path,
    prompts: PromptPolicy = "box",
    format: tuple[MaskFormat, ...] = ("coco", "png"),
) -> int:
    """Masks for every box of a data set, with a confidence each, as many tools take them.

    Args:
        run: A run folder, or any weights that `ringsam train --weights` takes.
        images: The folder of the images.
        boxes: COCO JSON with a big_box (and a small_box) per object.
        out: A new folder, with masks.json for coco and a folder for every other format.
        prompts: What SAM is asked with.
        format: Any of: coco (run lengths), png (one an object), labels (16-bit label map), yolo (YOLO-seg), geojson.
    """
    from ringsam.bulk import predict_files

    summary = predict_files(run, images, boxes, out, prompts=prompts, formats=format)
    print(summary)
    return 0


def export(
    run: Folder,
    to: ExportFormat,
    out: Path | None = None,
    rank: int | None = None,
    energy: float | None = None,
) -> int:
    """Write adapted weights for other tools, load them back and compare the masks.

    Args:
        run: A run folder, or any weights that `ringsam train --weights` takes.
        to: hf is a transformers folder, meta a .pth for segment_anything, onnx graphs for onnxruntime and annotation tools,
            lora a small adapter of peft.
        out: The folder to make; beside the run's other files where not given.
        rank: The rank of the LoRA adapter.
        energy: Or the share of the change that it keeps; 0.9 where neither is given.
    """
    from ringsam.export import export_weights

    print(export_weights(run, to=to, out=out, rank=rank, energy=energy))
    return 0


def _with_recipe(into: type[Parsed], command: str, arguments: list[str], **required: Any) -> Parsed:
    """Settings are the recipe's, which says what differs from the classes' defaults, then the flags'."""
    recipe = _recipe_named_in(arguments) or DEFAULT_RECIPE
    default = into(data=tyro.MISSING, config=read_recipe(recipe), recipe=recipe, **required)
    try:
        return tyro.cli(
            into,
            prog=f"ringsam {command}",
            args=arguments,
            use_underscores=True,
            default=default,
        )
    except ValidationError as error:  # of the outermost settings; tyro shows those of sections
        rows = [f"--{part['loc'][0]}: {part['msg']}" for part in error.errors()]
        raise InputError("\n".join(rows)) from error


def _recipe_named_in(arguments: list[str]) -> str | None:
    for i, argument in enumerate(arguments):
        if argument == "--recipe":
            if i + 1 == len(arguments):
                raise InputError("--recipe: name a recipe or a YAML file")
            return arguments[i + 1]
        if argument.startswith("--recipe="):
            return argument.removeprefix("--recipe=")
    return None

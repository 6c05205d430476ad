"""The commands of what a run gives: evaluate, bench, report, predict, export."""

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import tyro

from ringsam.commands.arguments import Data, Images, Root, Run
from ringsam.config import ExportFormat, MaskFormat, PromptPolicy, Refinement


def evaluate(
    run: Run,
    data: Data,
    prompts: PromptPolicy = "box",
    refine: Refinement = "none",
    json: Path | None = None,
) -> int:
    """Compare zero-shot with adapted SAM on the same images and prompts; needs masks.

    Args:
        run: A run folder, or any weights that `ringsam train --weights` takes.
        data: A data set whose objects have masks.
        prompts: What SAM is asked with.
        refine: Move both models' masks by each object's own colours, within the big box, or by what both boxes tell.
        json: Write every figure here too.
    """
    from ringsam.evaluation.evaluate import evaluate as run_evaluation
    from ringsam.evaluation.result import write_evaluation
    from ringsam.evaluation.table import print_evaluation

    evaluation = run_evaluation(run, data, prompts=prompts, refine=refine)
    print_evaluation(evaluation)
    if json is not None:
        write_evaluation(evaluation, json)
    return 0


@dataclass
class BenchArguments:
    """What to compare."""

    root: Root
    """One folder a data set, each with train/two_boxes.json and test/annotations.json, and their images/."""
    out: Path
    """Where the runs and the table go."""
    recipes: tuple[str, ...] = ("grabcut", "seed", "best")
    """Bundled recipes, YAML files, and grabcut: what the two boxes give without any model."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One run each of every recipe; the table has their mean and standard deviation."""
    epochs: int = 5
    """Passes over the images, the same for every recipe."""
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
    table = run_bench(wanted, arguments.out / "table.md", _as_typed(arguments))
    print(table.read_text(encoding="utf-8"), end="")
    return 0


def _as_typed(arguments: BenchArguments) -> str:
    """The command that makes the same table: what differs from the defaults."""
    words = ["ringsam", "bench", str(arguments.root)]
    for option in fields(arguments)[1:]:
        value = getattr(arguments, option.name)
        if value != option.default:
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{option.name}", *map(str, values)]
    return shlex.join(words)


def report(run: Run) -> int:
    """Write one offline page: curves, table, best and worst objects.

    Args:
        run: A run folder; the page shows its last evaluation.
    """
    from ringsam.evaluation.report import write_report
    from ringsam.runs import RunFolder

    print(write_report(RunFolder(run)))
    return 0


def predict(
    run: Run,
    images: Images,
    boxes: Path,
    out: Path,
    prompts: PromptPolicy = "box",
    refine: Refinement = "none",
    format: tuple[MaskFormat, ...] = ("coco", "png"),
) -> int:
    """Masks for every box of a data set, with a confidence each, as many tools take them.

    Args:
        run: A run folder, or any weights that `ringsam train --weights` takes.
        images: The folder of the images.
        boxes: COCO JSON with a big_box per object, and a small_box for other prompts than box and for refine both_boxes.
        out: A new folder, with masks.json for coco and a folder for every other format.
        prompts: What SAM is asked with.
        refine: Move SAM's masks by each object's own colours, within the big box, or by what both boxes tell.
        format: Any of: coco (run lengths), png (one an object), labels (16-bit label map), yolo (YOLO-seg), geojson.
    """
    from ringsam.bulk import predict_files

    summary = predict_files(run, images, boxes, out, prompts=prompts, refine=refine, formats=format)
    print(summary)
    return 0


def export(
    run: Run,
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

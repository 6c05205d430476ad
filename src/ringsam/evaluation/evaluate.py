"""`ringsam evaluate`: zero-shot SAM against adapted SAM, the same images, the same prompts."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track

from ringsam.config import PromptPolicy, Refinement
from ringsam.data.dataset import TwoBoxData, read_two_boxes
from ringsam.data.records import ImageRecord, decode_masks, read_pixels
from ringsam.errors import InputError, NotWritten
from ringsam.evaluation.result import Evaluation, ObjectRow, summarize, write_evaluation
from ringsam.evaluation.scores import score_prediction
from ringsam.evaluation.seen import learned_from, warning_of
from ringsam.predict import Prediction, Predictor, load, load_of_run
from ringsam.runs import RunFolder


def evaluate(
    run_or_weights: str | Path,
    data: str | Path,
    *,
    prompts: PromptPolicy = "box",
    refine: Refinement = "none",
    device: str | None = None,
) -> Evaluation:
    """Each object's masks against its ground truth: a run's two SAMs, or the one of plain weights as `zero_shot`.

    Both are asked alike, and refined alike. A run keeps the result in its folder, and where it cannot, says so. `device` is the GPU where there is one. Raises InputError
    for data without any mask.
    """
    run = RunFolder(Path(run_or_weights))
    boxes = read_two_boxes(Path(data))
    records = scorable(boxes)
    models = load_models(run_or_weights, device=device)
    console = Console(file=sys.stderr)
    if seen := learned_from(run, records):
        print(warning_of(seen, len(records)), file=sys.stderr)
    rows: list[ObjectRow] = []
    steps = track(
        records, "evaluating", console=console, transient=True, disable=not console.is_terminal
    )
    for record in steps:
        rows += score_image(
            record, models, prompts=prompts, refine=refine, categories=boxes.categories
        )
    evaluation = summarize(
        rows,
        boxes,
        model=str(run_or_weights),
        data=str(Path(data).resolve()),
        prompts=prompts,
        refine=refine,
        num_learned_from=len(seen),
    )
    if run.is_run():
        keep(evaluation, run)
    return evaluation


def keep(evaluation: Evaluation, run: RunFolder) -> None:
    """Write it where the report looks for it; what was computed is worth more than that it is kept."""
    try:
        write_evaluation(evaluation, run.evaluation)
    except NotWritten as error:
        print(f"warning: the report will not have this evaluation: {error}", file=sys.stderr)


def scorable(data: TwoBoxData) -> list[ImageRecord]:
    """Each image once, with those of its objects that have a mask; raises InputError where none has."""
    by_id = {record.image_id: record.choose(masked(record)) for record in data.images}
    records = [record for record in by_id.values() if record.num_objects]
    if not records:
        mend = "`ringsam predict` needs none"
        beside = data.source.with_name("annotations.json")
        if beside != data.source and beside.is_file():
            mend = f"try {beside}, which lies beside it"
        reason = "no object has a mask, and evaluation needs masks (`segmentation`) to compare with"
        raise InputError(f"{data.source}: {reason}; {mend}")
    return records


def masked(record: ImageRecord) -> list[int]:
    """The places of the objects that have a mask."""
    return [i for i, segmentation in enumerate(record.segmentations) if segmentation is not None]


def load_models(run_or_weights: str | Path, *, device: str | None = None) -> dict[str, Predictor]:
    """`zero_shot` and `adapted` of a run; of plain weights `zero_shot` alone."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    adapted = load(run_or_weights).to(device)
    folder = RunFolder(Path(run_or_weights))
    if not folder.is_run():
        return {"zero_shot": adapted}
    return {"zero_shot": load_of_run(folder, folder.original).to(device), "adapted": adapted}


def score_image(
    record: ImageRecord,
    models: Mapping[str, Predictor],
    *,
    prompts: PromptPolicy,
    refine: Refinement = "none",
    categories: Mapping[int, str],
) -> Iterator[ObjectRow]:
    """A row for each object of an image whose objects all have masks, which are drawn and decoded some at a time.

    The object ids decide the draws, so that all models get the same prompts.
    """
    asked = ask_models(record, models, prompts=prompts, refine=refine)
    first = 0
    for parts in zip(*asked.values(), strict=True):
        some = record.choose(range(first, first + len(parts[0].iou)))
        first += some.num_objects
        targets = decode_masks(some)
        assert targets is not None
        scores = [score_prediction(part, targets) for part in parts]
        objects = zip(some.object_ids, some.category_ids, *scores, strict=True)
        for object_id, category_id, *of_models in objects:
            yield ObjectRow(
                image_id=record.image_id,
                file_name=record.file_name,
                object_id=int(object_id),
                category=categories.get(int(category_id), str(category_id)),
                **dict(zip(models, of_models, strict=True)),
            )


def ask_models(
    record: ImageRecord,
    models: Mapping[str, Predictor],
    *,
    prompts: PromptPolicy,
    refine: Refinement = "none",
) -> dict[str, Iterator[Prediction]]:
    """Each model's masks of an image's objects, the same objects in each part."""
    pixels = read_pixels(record)
    return {
        name: model.predict_in_parts(
            pixels,
            record.big_boxes,
            record.small_boxes,
            prompts=prompts,
            refine=refine,
            object_ids=record.object_ids,
        )
        for name, model in models.items()
    }

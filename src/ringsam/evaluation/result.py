"""What an evaluation found: its rows, means, intervals and counts, and the JSON they are kept in."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ringsam.config import PromptPolicy, Refinement
from ringsam.data.dataset import TwoBoxData
from ringsam.errors import InputError
from ringsam.evaluation.scores import ObjectScores
from ringsam.evaluation.summary import Difference, Statistics, Summary
from ringsam.files import write_json


@dataclass(frozen=True)
class ObjectRow:
    """One object, as each model segments it; `adapted` is None where plain weights were evaluated."""

    image_id: int
    file_name: str
    object_id: int
    category: str
    zero_shot: ObjectScores
    adapted: ObjectScores | None = None


@dataclass(frozen=True)
class Evaluation:
    """What `ringsam evaluate --json` writes; objects without a mask are counted in `num_skipped`."""

    model: str
    data: str
    prompts: PromptPolicy
    num_images: int
    num_objects: int
    num_skipped: int
    num_skipped_images: int
    zero_shot: Summary
    adapted: Summary | None
    difference: Difference | None
    objects: tuple[ObjectRow, ...]
    refine: Refinement = "none"
    num_learned_from: int = 0  # of the images, those that the run was trained on

    @property
    def asked(self) -> str:
        """What both models were asked with, in words."""
        refined = "" if self.refine == "none" else f", refined by {self.refine}"
        return f"prompts {self.prompts}{refined}"


def summarize(
    rows: Sequence[ObjectRow],
    boxes: TwoBoxData,
    *,
    model: str,
    data: str,
    prompts: PromptPolicy,
    refine: Refinement = "none",
    num_learned_from: int = 0,
) -> Evaluation:
    """The rows with their means, intervals and counts."""
    statistics = Statistics.over([row.image_id for row in rows])
    zero_shot = [row.zero_shot for row in rows]
    adapted = [row.adapted for row in rows if row.adapted is not None]
    num_images = len({row.image_id for row in rows})
    return Evaluation(
        model=model,
        data=data,
        prompts=prompts,
        num_images=num_images,
        num_objects=len(rows),
        num_skipped=boxes.num_objects - len(rows),
        num_skipped_images=len(boxes.images) - num_images,
        zero_shot=statistics.summary(zero_shot),
        adapted=statistics.summary(adapted) if adapted else None,
        difference=statistics.difference(zero_shot, adapted) if adapted else None,
        objects=tuple(rows),
        refine=refine,
        num_learned_from=num_learned_from,
    )


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    """The evaluation as JSON; an old file is replaced only by a whole new one."""
    write_json(path, asdict(evaluation))


def read_evaluation(path: Path) -> Evaluation:
    """What `write_evaluation` wrote; raises InputError for anything else."""
    try:
        return TypeAdapter(Evaluation).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        mend = "make it anew with `ringsam evaluate`"
        raise InputError(f"{path}: is not an evaluation of this version; {mend}") from error

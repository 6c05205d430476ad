"""Each term of the recipe `best` alone and left out, and the seed with other prompts: rows of `benchmarks.recipes`."""

from dataclasses import replace
from functools import partial
from typing import Any

from ringsam.bench.runs import Comparison
from ringsam.config import Config, MethodConfig

NO_VOTES = {"colour_vote": 0.0, "shape_vote": 0.0, "colour_evidence": 0.0}
ALONE = {**NO_VOTES, "box_constraint": 0.0, "pixel_contrast": 0.0}
CHANGES: dict[str, dict[str, Any]] = {
    "box_prompts": {"prompts": "box"},
    "without_turning": {"random_orientation": False},
    "without_contrast": {"pixel_contrast": 0.0},
    "cell_contrast": {"pixel_contrast": 0.0, "alpha": 0.1},  # the seed's in its place
    "without_evidence": {"colour_evidence": 0.0},
    "without_colours": {"colour_vote": 0.0, "shape_vote": 0.5},  # without GrabCut
    "without_shape": {"colour_vote": 0.5, "shape_vote": 0.0},
    "without_teacher": {"colour_vote": 0.5, "shape_vote": 0.5},
    "without_boxes": {"box_constraint": 0.0},
    "without_distillation": {"gamma": 0.0},
    "boxes_alone": {**ALONE, "self_training": 0.0, "box_constraint": 0.5},
    "teacher_alone": ALONE,
    "colours_alone": {**ALONE, "colour_vote": 1.0, "gamma": 0.0},
}


def changed(best: Config, **method: Any) -> Config:
    return replace(best, method=replace(best.method, **method))


def seed_with(best: Config, **method: Any) -> Config:
    """The seed's own defaults, whatever `best` is."""
    return Config(method=MethodConfig(**method))


ABLATIONS = {
    **{name: Comparison(partial(changed, **change)) for name, change in CHANGES.items()},
    "seed_box": Comparison(partial(seed_with, prompts="box")),
    "seed_box_core": Comparison(partial(seed_with, prompts="box+core")),
}

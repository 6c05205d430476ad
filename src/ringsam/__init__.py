"""Adapt Segment Anything to your images from two boxes per object, without masks.

import ringsam
ringsam.train("my_images", out="runs/first")
masks = ringsam.load("runs/first").predict(image, big_boxes).masks
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringsam.config import read_recipe as read_recipe
    from ringsam.evaluation.evaluate import evaluate as evaluate
    from ringsam.predict import load as load
    from ringsam.training.run import resume as resume
    from ringsam.training.run import train as train

__version__ = "0.1.0"
__all__ = ["__version__", "evaluate", "load", "read_recipe", "resume", "train"]

_DOORS = {  # opened when they are asked for, since what lies behind them is heavy
    "evaluate": "ringsam.evaluation.evaluate",
    "load": "ringsam.predict",
    "read_recipe": "ringsam.config",
    "resume": "ringsam.training.run",
    "train": "ringsam.training.run",
}


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return getattr(importlib.import_module(_DOORS[name]), name)
    raise AttributeError(f"module 'ringsam' has no attribute {name!r}")

"""Adapt Segment Anything to your images from two boxes per object, without masks.

import ringsam
ringsam.train("my_images", out="runs/first")
masks = ringsam.load("runs/first").predict(image, big_boxes).masks
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringsam.predict import load as load
    from ringsam.training.run import train as train

__version__ = "0.1.0"
__all__ = ["__version__", "load", "train"]


def __getattr__(name: str) -> Any:
    if name == "load":
        from ringsam.predict import load

        return load
    if name == "train":
        from ringsam.training.run import train

        return train
    raise AttributeError(f"module 'ringsam' has no attribute {name!r}")

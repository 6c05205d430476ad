"""Runs as processes of their own, with what they are asked and what they leave."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

from ringsam.runs import RunFolder

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def train_flags(sam: Path, out: Path, *, num_epochs: int, **others: object) -> list[object]:
    """Of a run in which every object is trusted and every step moves weights that show."""
    flags = {
        "out": out,
        "weights": sam,
        "recipe": "seed",
        "epochs": num_epochs,
        "method.entropy_thresh": 0.7,
        "optim.lr_encoder": 1e-3,
        "hardware.accelerator": "cpu",
    } | {name.replace("__", "."): value for name, value in others.items()}
    return [part for name, value in flags.items() for part in (f"--{name}", value)]


def adapted(run: Path) -> dict[str, torch.Tensor]:
    return load_file(RunFolder(run).adapted / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def wait_for(seen: Callable[[], bool], *, seconds: float = 120) -> None:
    """Until it is seen; fails where it takes too long."""
    until = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.005)

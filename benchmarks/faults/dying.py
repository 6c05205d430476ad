"""A process that dies of `kill -9` at one chosen moment of its writing."""

import io
import itertools
import os
import signal
from pathlib import Path
from typing import Any

import torch

SAVING = (
    "half written",
    "written, not yet on the disk",
    "before its digest is moved",
    "before it is moved",
    "before the oldest is removed",
)
STARTING = ("data.json", "config.yaml")  # before one of these is moved into its place


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(moment: str, number: int = 0, share: float = 1.0) -> None:
    """Have this process die there: in its checkpoint of that number, of which so much is written."""
    save, replace, saves = torch.save, os.replace, itertools.count()

    def dying_save(content: Any, file: Any) -> None:
        if next(saves) != number or moment not in SAVING[:2]:
            return save(content, file)
        whole = io.BytesIO()
        save(content, whole)
        file.write(whole.getvalue()[: round(share * len(whole.getvalue()))])
        file.flush()
        return die()

    def dying_replace(source: Any, target: Any) -> None:
        name = Path(target).name
        if moment == name or (moment == SAVING[2] and name == f"epoch={number:04d}.ckpt.sha256"):
            die()
        if moment == SAVING[3] and name == f"epoch={number:04d}.ckpt":
            die()
        replace(source, target)
        if moment == SAVING[4] and name == f"epoch={number:04d}.ckpt":
            die()

    torch.save, os.replace = dying_save, dying_replace  # type: ignore[assignment]

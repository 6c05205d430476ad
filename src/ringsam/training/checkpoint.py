"""Checkpoints that survive: written beside and moved into place, verified by sha256 before they are read."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor
from torch.utils._pytree import tree_leaves

from ringsam.digests import digest_file, digest_line, is_as_written
from ringsam.errors import InputError
from ringsam.files import replaced, write_atomically
from ringsam.sam.weights import read_pth


class VerifiedCheckpointIO(CheckpointIO):
    """A file is either whole and as it was written, or it is refused.

    Where the disk takes none, the older ones stay as they are, and the run goes on to its next try.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        try:
            write_checkpoint(checkpoint, Path(path))
        except (OSError, RuntimeError) as error:
            reason = error if isinstance(error, OSError) else error.__context__
            if not isinstance(reason, OSError):  # torch's writer hides the disk's own error so
                raise
            print(_not_saved(checkpoint, Path(path), reason), flush=True)

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        remove_checkpoint(Path(path))


def write_checkpoint(checkpoint: dict[str, Any], path: Path) -> None:
    """Raises OSError, or torch's RuntimeError around it, where the disk takes it not; nothing is left then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as unfinished:
        with unfinished.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        write_atomically(digest_file(path), digest_line(unfinished, named=path.name))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content, on the CPU; nothing in it is run. Raises InputError where it is cut, altered or hostile."""
    mend = "resume takes an older one; remove this file"
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint")
    digest = digest_file(path)
    if not digest.is_file():
        raise InputError(f"{path}: its sha256 file {digest.name} is missing; {mend}")
    if not is_as_written(path):
        raise InputError(
            f"{path}: was cut or altered after it was written (sha256 differs); {mend}"
        )
    checkpoint = read_pth(path)
    if "sam_image_encoder" not in checkpoint:
        raise InputError(f"{path}: is not a checkpoint of ringsam")
    return dict(checkpoint)


def newest_checkpoint(
    folder: Path, *, batches: dict[str, int] | None = None
) -> tuple[Path | None, list[str]]:
    """The last checkpoint that can be read and gone on with, and a line for each newer one that cannot.

    One that lies within an epoch can where its epoch has these batches (`TwoBoxLoader.batches`).
    """
    refused: list[str] = []
    for path in checkpoints_in(folder)[::-1]:
        try:
            made_with = read_checkpoint(path).get("TwoBoxLoader")
        except InputError as error:
            refused.append(str(error))
            continue
        if not is_within_epoch(path) or made_with == batches:
            return path, refused
        refused.append(f"{path}: lies within an epoch, which other batches would not go on with")
    return None, refused


def num_epochs_of(checkpoint: Path) -> int:
    """How many it has learned, the one that it lies within among them."""
    return int(checkpoint.stem.removeprefix("epoch=").partition("-")[0]) + 1


def checkpoints_in(folder: Path) -> list[Path]:
    """The oldest first; one within an epoch stands before the one at its end."""
    return sorted(folder.glob("*.ckpt"))


def is_within_epoch(path: Path) -> bool:
    """Whether a signal had this checkpoint written; the others are made at an epoch's end."""
    return "-step=" in path.name


def remove_checkpoint(path: Path) -> None:
    path.unlink(missing_ok=True)
    digest_file(path).unlink(missing_ok=True)


def remove_orphans(folder: Path) -> None:
    """What a killed process left half-written, and digests of checkpoints that are gone."""
    for path in folder.glob(".*.unfinished"):
        path.unlink()
    for digest in folder.glob("*.ckpt.sha256"):
        if not digest.with_suffix("").exists():
            digest.unlink()


def _not_saved(checkpoint: dict[str, Any], path: Path, reason: OSError) -> str:
    leaves = tree_leaves(checkpoint)
    need = sum(leaf.nbytes for leaf in leaves if isinstance(leaf, Tensor)) / 1e6
    free = shutil.disk_usage(path.parent).free / 1e6
    kept = checkpoints_in(path.parent)
    back = f"{kept[-1].name} is kept" if kept else "there is none yet"
    return (
        f"NOT SAVED: {path}: {reason.strerror}: a checkpoint takes {need:.1f} MB, {free:.1f} MB are free; "
        f"make room; training goes on to the next try, {back}"
    )

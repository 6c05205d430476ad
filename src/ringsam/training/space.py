"""Room on the disk for a run, judged before it begins."""

import shutil
from pathlib import Path

from ringsam.errors import InputError
from ringsam.files import nearest_folder
from ringsam.method.adaptation import Adaptation

CHECKPOINTS = 4  # of two epochs' ends and one within an epoch, and one that is being written
PER_CHECKPOINT = 5  # student, teacher, best weights and Adam's two moments
FOLDERS = 2  # SAM before and after


def needed_bytes(adaptation: Adaptation) -> int:
    """What a run keeps at its fullest."""
    whole = sum(p.nbytes for p in adaptation.sam.parameters())
    trained = sum(p.nbytes for part in adaptation.trained_parts() for p in part.values())
    return FOLDERS * whole + CHECKPOINTS * PER_CHECKPOINT * trained


def refuse_full_disk(out: Path, adaptation: Adaptation) -> None:
    """Raises InputError with both numbers where the run would not fit."""
    need, free = needed_bytes(adaptation) / 1e6, shutil.disk_usage(nearest_folder(out)).free / 1e6
    if need > free:
        mend = "make room, or give another --out"
        raise InputError(
            f"{out}: a run needs about {need:.1f} MB, {free:.1f} MB are free there; {mend}"
        )

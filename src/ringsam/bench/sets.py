"""The data sets of a comparison: which folders they are, and where the masks lie that they are judged by."""

from collections.abc import Sequence
from pathlib import Path

from ringsam.data.annotations import NAMES, find_annotations
from ringsam.data.dataset import read_two_boxes
from ringsam.errors import InputError
from ringsam.evaluation.evaluate import scorable


def data_sets(root: Path, names: Sequence[str] | None) -> list[Path]:
    """The folders of `root` with labels in a `train` and a `test` part, in order; those of `names` only, where given. Others are told.

    Raises InputError where there is none, or a test part has no masks.
    """
    if not root.is_dir():
        raise InputError(f"{root}: is not a folder; it holds one folder a data set")
    folders = [path for path in sorted(root.iterdir()) if path.is_dir()]
    whole = {
        path.name: path
        for path in folders
        if _has_labels(path / "train") and _has_labels(path / "test")
    }
    missing = [name for name in names or () if name not in whole]
    if missing or not whole:
        mend = (
            "each set is a folder with two_boxes.json in train/, and masks in test/annotations.json"
        )
        raise InputError(f"{root}: no data set {', '.join(missing) or 'at all'}; {mend}")
    if names is None and len(whole) < len(folders):
        left_out = [path.name for path in folders if path.name not in whole]
        reason = "left out, without labels in train/ or in test/"
        print(f"{root}: {len(left_out)} folders {reason}: {', '.join(left_out)}", flush=True)
    found = [path for name, path in whole.items() if names is None or name in names]
    for path in found:
        scorable(read_two_boxes(labels_with_masks(path)))
    return found


def _has_labels(part: Path) -> bool:
    return any((part / name).is_file() for name in NAMES)


def labels_with_masks(data: Path) -> Path:
    """The test part's annotations.json, else its two_boxes.json, where `ringsam import --keep_masks` leaves masks."""
    masks = data / "test" / "annotations.json"
    return masks if masks.is_file() else find_annotations(masks.parent)

"""What of a data set is learned from: everything is judged first, and images that cannot be read stop or are left out."""

from pathlib import Path

from ringsam.config import OnBad
from ringsam.data.check import check
from ringsam.data.dataset import read_two_boxes
from ringsam.data.findings import finding_lines
from ringsam.data.records import TwoBoxData
from ringsam.errors import InputError


def read_usable(data: Path, on_bad: OnBad) -> TwoBoxData:
    """The images with objects, each decoded once, so that a bad one is named before any training.

    Raises InputError with every bad row; with `skip`, images that cannot be read are told, counted and left out with their objects.
    """
    checked = check(data)
    left_out = checked.unreadable if on_bad == "skip" else {}
    if len(checked.errors) > len(left_out):
        raise InputError(checked.text())
    if left_out:
        num = f"{len(left_out)} images cannot be read and are left out with their objects:"
        print("\n".join([num, *finding_lines([*left_out.values()])]), flush=True)
    usable = read_two_boxes(data, without=left_out).with_objects()
    if not len(usable.images):
        raise InputError(f"{usable.source}: 0 usable objects: no image of theirs can be read")
    return usable

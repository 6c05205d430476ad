"""COCO segmentations: judged before the C decoder sees them, then turned into masks."""

import math
import re
import warnings

import numpy as np
import numpy.typing as npt
import pycocotools.mask as coco_mask

from ringsam.data.findings import RowProblem

Mask = npt.NDArray[np.bool_]
Rle = dict[str, object]

# Groups of 5 bits, each character but a group's last with the sixth bit set; at most 7 groups make
# 35 bits. The decoder trusts its input and would read beyond a string that breaks this.
_COMPRESSED = re.compile(r"(?:[P-o]{0,6}[0-O])+")
_MEND = "write COCO RLE or polygons of the image's own size, or leave segmentation out"


def judge_segmentation(segmentation: object, size: tuple[int, int]) -> None:
    """Raises RowProblem unless it is RLE of (height, width) or polygons on or near the image."""
    if isinstance(segmentation, dict):
        _judge_run_lengths(segmentation, size)
    elif isinstance(segmentation, list) and segmentation:
        for polygon in segmentation:
            _judge_polygon(polygon, size)
    else:
        raise RowProblem("segmentation is neither RLE nor polygons", _MEND)


def decode_mask(segmentation: object, size: tuple[int, int]) -> Mask:
    """The mask (height, width) of a segmentation; raises RowProblem where it is none."""
    judge_segmentation(segmentation, size)
    height, width = size
    if isinstance(segmentation, dict) and isinstance(segmentation["counts"], str):
        _judge_sum(run_lengths(segmentation["counts"]), size)
        runs = {"size": [height, width], "counts": segmentation["counts"].encode("ascii")}
    else:
        runs = coco_mask.frPyObjects(segmentation, height, width)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools 2.0 with numpy 2
            mask = coco_mask.decode(coco_mask.merge(runs) if isinstance(runs, list) else runs)
    except ValueError as error:
        raise RowProblem(f"segmentation cannot be decoded: {error}", _MEND) from error
    return np.asarray(mask, dtype=np.bool_)


def encode_mask(mask: Mask) -> Rle:
    """A mask (height, width) as COCO's compressed run lengths, ready for JSON."""
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def mask_fields(mask: Mask) -> dict[str, object]:
    """What COCO says of a mask: its run lengths, its bounding box as x, y, width, height, its area."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    left, right = (columns[0], columns[-1] + 1) if len(columns) else (0, 0)
    top, bottom = (rows[0], rows[-1] + 1) if len(rows) else (0, 0)
    return {
        "segmentation": encode_mask(mask),
        "bbox": [int(side) for side in (left, top, right - left, bottom - top)],
        "area": int(mask.sum()),
    }


def run_lengths(counts: str) -> list[int]:
    """The runs of a compressed string: 5 bits a character, from the third on relative to two before."""
    runs: list[int] = []
    value = shift = 0
    for bits in counts.encode("ascii"):
        bits -= 48
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            value -= (bits & 16) << (shift - 4)  # the sign
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def _judge_run_lengths(segmentation: dict[str, object], size: tuple[int, int]) -> None:
    height, width = size
    if segmentation.get("size") != [height, width]:
        stated = ascii(segmentation.get("size"))[:60]
        raise RowProblem(
            f"segmentation has size {stated}, the image [{height}, {width}] (height, width)", _MEND
        )
    counts = segmentation.get("counts")
    if isinstance(counts, str) and _COMPRESSED.fullmatch(counts):
        return
    if not isinstance(counts, list) or not all(type(run) is int for run in counts):
        raise RowProblem("segmentation has counts that are no run lengths", _MEND)
    _judge_sum(counts, size)


def _judge_sum(runs: list[int], size: tuple[int, int]) -> None:
    """The decoder would leave what is not counted as it finds it in memory."""
    total, pixels = sum(runs), size[0] * size[1]
    if total != pixels or min(runs) < 0:
        counted = total if abs(total) < 1 << 63 else "endlessly many"  # Python writes 4300 digits
        raise RowProblem(f"segmentation counts {counted} pixels, the image has {pixels}", _MEND)


def _judge_polygon(polygon: object, size: tuple[int, int]) -> None:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        raise RowProblem("segmentation holds a polygon without three (x, y) corners", _MEND)
    if not all(type(v) in (int, float) and -math.inf < v < math.inf for v in polygon):
        raise RowProblem("segmentation holds a polygon with something that is no number", _MEND)
    for limit, values in ((size[1], polygon[0::2]), (size[0], polygon[1::2])):
        if min(values) < -limit or max(values) > 2 * limit:
            raise RowProblem("segmentation holds a polygon far outside the image", _MEND)

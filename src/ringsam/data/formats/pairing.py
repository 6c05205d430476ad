"""Which two boxes make up one object: by their group, by which lies inside which, by order. One to one."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ringsam.data.boxes import ROUNDING_PX, Box
from ringsam.data.findings import RowProblem
from ringsam.data.formats.regions import LabelledImage, Labels, Region, role_in

_ROWS_SHOWN = 12


class FoundObject(NamedTuple):
    """An object of at least one box, or of a segmentation, or of both."""

    where: str
    label: str
    big: Box | None = None
    small: Box | None = None
    segmentation: object = None


class Pairing(NamedTuple):
    """`nested` are pairs told by their boxes alone; `lone` are boxes that found no partner so."""

    grouped: list[FoundObject]
    nested: list[FoundObject]
    lone: list[FoundObject]


def pair_regions(image: LabelledImage, labels: Labels, *, single_boxes: bool) -> Pairing:
    """The image's objects; what cannot be told becomes a finding. `single_boxes`: nothing is paired without a group."""
    groups: dict[str, list[Region]] = defaultdict(list)
    plain = []
    for region in image.regions:
        if region.role is None:
            role, label = role_in(region.label)
            region = replace(region, role=role, label=label)
        if region.group is None and region.box is not None:
            plain.append(region)
        else:
            groups[region.group or region.where].append(region)
    grouped = []
    for members in groups.values():
        with labels.row(image.file, _rows(members)):
            grouped.append(_join(members))
    if single_boxes:
        return Pairing(grouped, [], [_alone(region) for region in plain])
    with labels.row(image.file, _rows(plain)):
        pairs = _pair_by_nesting(plain)
        taken = {i for pair in pairs for i in pair}
        nested = [_join([plain[i], plain[j]]) for i, j in pairs]
        lone = [_alone(region) for i, region in enumerate(plain) if i not in taken]
        return Pairing(grouped, nested, lone)
    return Pairing(grouped, [], [])


def _join(members: Sequence[Region]) -> FoundObject:
    """One object of a group's boxes, or of its polygons."""
    if len(members) == 1:
        return _alone(members[0])
    outlines = [region.segmentation for region in members if region.box is None]
    polygons = [outline for outline in outlines if isinstance(outline, list)]
    if len(polygons) == len(members):
        parts = [polygon for part in polygons for polygon in part]
        return FoundObject(_rows(members), members[0].label, segmentation=parts)
    if polygons or len(members) > 2:
        raise RowProblem(
            f"{len(members)} regions are one group",
            "group two boxes, or the polygons of one object",
        )
    return _two_boxes(*members)


def _two_boxes(one: Region, other: Region) -> FoundObject:
    """The roles as told, else the larger box is the big one."""
    if one.role is not None and one.role == other.role:
        raise RowProblem(f"both are the {one.role} box", "draw one big and one small box")
    assert one.box is not None and other.box is not None
    if one.role is None and other.role is None:
        swapped = _area(one.box) < _area(other.box)
    else:
        swapped = one.role == "small" or other.role == "big"
    big, small = (other, one) if swapped else (one, other)
    label, mask = big.label or small.label, one.segmentation or other.segmentation
    return FoundObject(_rows([one, other]), label, big.box, small.box, mask)


def _alone(region: Region) -> FoundObject:
    """A box without a role is taken as the big one: it holds the object."""
    if region.box is None:
        return FoundObject(region.where, region.label, None, None, region.segmentation)
    big, small = (None, region.box) if region.role == "small" else (region.box, None)
    return FoundObject(region.where, region.label, big, small, region.segmentation)


def _pair_by_nesting(regions: Sequence[Region]) -> list[tuple[int, int]]:
    """Pairs of indices; raises RowProblem where boxes nest in several ways and order does not tell either."""
    partners = _partners(regions)
    pairs = []
    open_ones = {i: set(found) for i, found in enumerate(partners) if found}
    forced = [i for i, found in open_ones.items() if len(found) == 1]
    while forced:
        i = forced.pop()
        if len(open_ones.get(i, ())) != 1:
            continue
        (j,) = open_ones.pop(i)
        pairs.append((i, j))
        for k in open_ones.pop(j) - {i}:
            open_ones[k].discard(j)
            if len(open_ones[k]) == 1:
                forced.append(k)
    unsettled = [i for i, found in open_ones.items() if found]
    if not unsettled:
        return sorted(pairs)
    in_order = [(i, i + 1) for i in range(0, len(regions) - 1, 2)]
    if len(regions) % 2 == 0 and all(j in partners[i] for i, j in in_order):
        return in_order
    raise RowProblem(
        f"{len(unsettled)} boxes nest in several ways: {_rows([regions[i] for i in unsettled])}",
        "group an object's two boxes, call them big and small, or draw them one after the other; "
        "say --single_boxes if each box is an object of its own",
    )


def _partners(regions: Sequence[Region]) -> list[set[int]]:
    """For each box those of the same label that hold it or lie in it, as far as their roles allow."""
    boxes = np.array([region.box for region in regions], dtype=np.float64).reshape(-1, 4)
    labels = np.unique([region.label for region in regions], return_inverse=True)[1]
    can_be_big = np.array([region.role != "small" for region in regions], dtype=np.bool_)
    can_be_small = np.array([region.role != "big" for region in regions], dtype=np.bool_)
    found = []
    for i, box in enumerate(boxes):  # row by row: thousands of boxes need no square of memory
        inside = (boxes[:, :2] >= box[:2] - ROUNDING_PX).all(axis=1)
        inside &= (boxes[:, 2:] <= box[2:] + ROUNDING_PX).all(axis=1)
        around = (boxes[:, :2] <= box[:2] + ROUNDING_PX).all(axis=1)
        around &= (boxes[:, 2:] >= box[2:] - ROUNDING_PX).all(axis=1)
        fits = (inside & can_be_small & can_be_big[i]) | (around & can_be_big & can_be_small[i])
        found.append(set(np.flatnonzero(fits & (labels == labels[i])).tolist()) - {i})
    return found


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _rows(regions: Sequence[Region]) -> str:
    rows = list(dict.fromkeys(region.where for region in regions))
    more = f" and {len(rows) - _ROWS_SHOWN} more" if len(rows) > _ROWS_SHOWN else ""
    return " + ".join(rows[:_ROWS_SHOWN]) + more

"""One big box to one small box, by group, by nesting, by order; or an error."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringsam.data.formats.pairing import pair_regions
from ringsam.data.formats.regions import LabelledImage, Labels, Region, role_in

B1, S1 = (0.0, 0.0, 30.0, 30.0), (2.0, 2.0, 8.0, 8.0)
B2, S2 = (10.0, 10.0, 28.0, 28.0), (15.0, 15.0, 20.0, 20.0)
FAR = (50.0, 50.0, 60.0, 60.0)


def pair(*boxes, **more):
    """Pairs, lone boxes, and what was told, of boxes or whole regions."""
    regions = [
        box if isinstance(box, Region) else Region(f"row {n}", "cell", box=box)
        for n, box in enumerate(boxes)
    ]
    labels = Labels()
    image = LabelledImage(Path("labels"), ("a.png",), regions=regions)
    pairing = pair_regions(image, labels, single_boxes=more.get("single_boxes", False))
    found = [(o.big, o.small) for o in (*pairing.grouped, *pairing.nested)]
    return sorted(found), [o.big or o.small for o in pairing.lone], list(map(str, labels.findings))


@settings(max_examples=30)
@given(st.permutations([B1, S1, B2, S2]))
def test_an_object_within_anothers_big_box_keeps_its_own_small_box_in_any_order(boxes):
    assert pair(*boxes) == ([(B1, S1), (B2, S2)], [], [])


def test_order_tells_where_nesting_does_not():
    inner = (16.0, 16.0, 18.0, 18.0)
    big, small = (0.0, 0.0, 40.0, 40.0), (5.0, 5.0, 30.0, 30.0)
    assert pair(big, inner, small, S2)[0] == [(big, inner), (small, S2)]
    assert pair(big, small, S2, inner)[0] == [(big, small), (S2, inner)]


def test_what_nests_in_several_ways_is_an_error_that_lists_the_rows():
    _, _, (told,) = pair(B1, S2, B2)
    assert "3 boxes nest in several ways: row 0 + row 1 + row 2; group" in told


def test_two_boxes_of_one_role_are_no_partners():
    labels = ("cell big_box", "cell-big-box", "small box: cell")
    one, other, small = (
        Region(f"row {n}", label, box=box)
        for n, (label, box) in enumerate(zip(labels, (B1, B2, S1), strict=True))
    )
    assert pair(one, other) == ([], [B1, B2], [])
    assert pair(one, other, small) == ([(B1, S1)], [B2], [])


def test_boxes_of_other_labels_are_no_partners():
    assert pair(Region("row 0", "person", box=B1), Region("row 1", "bag", box=S1))[1] == [B1, S1]


def test_a_box_without_partner_is_lone():
    assert pair(B1, S1, FAR) == ([(B1, S1)], [FAR], [])


def test_single_boxes_are_not_paired():
    assert pair(B1, S1, single_boxes=True) == ([], [B1, S1], [])


def test_a_group_is_one_object_and_the_larger_box_is_the_big_one():
    regions = [Region(f"row {n}", box=box, group="1") for n, box in enumerate((S1, B1))]
    assert pair(*regions) == ([(B1, S1)], [], [])


def test_a_group_of_three_boxes_is_an_error():
    regions = [Region(f"row {n}", box=box, group="1") for n, box in enumerate((B1, S1, S2))]
    (told,) = pair(*regions)[2]
    assert "row 0 + row 1 + row 2: 3 regions are one group" in told


def test_two_boxes_of_one_role_in_a_group_are_an_error():
    regions = [Region("row", "big", box=box, group="1") for box in (B1, S1)]
    assert "both are the big box" in pair(*regions)[2][0]


def test_thousands_of_boxes_are_paired_quickly():
    boxes = []
    for n in range(1500):
        x, y = 20.0 * (n % 50), 20.0 * (n // 50)
        boxes += [(x, y, x + 18, y + 18), (x + 5, y + 5, x + 12, y + 12)]
    assert len(pair(*boxes)[0]) == 1500


@pytest.mark.parametrize(
    ("label", "role", "rest"),
    [
        ("big", "big", ""),
        ("Small_Box", "small", ""),
        ("max_boxes", "big", ""),
        ("inner", "small", ""),
        ("nucleus_big_box", "big", "nucleus"),
        ("nucleus/small box", "small", "nucleus"),
        ("bigbox nucleus", "big", "nucleus"),
        ("small bowel", None, "small bowel"),
        ("big boxer", None, "big boxer"),
        ("", None, ""),
    ],
)
def test_a_label_tells_a_role_only_where_it_says_box_or_nothing_else(label, role, rest):
    assert role_in(label) == (role, rest)

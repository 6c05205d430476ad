"""The review as a person does it, in a real browser: the file holds what was said, and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import Page, draw, needs_browser, on_screen, served, visited
from evaluation.made_runs import HOSTILE_NAME, make_data
from playwright.sync_api import expect

from ringsam.data import read_two_boxes

pytestmark = needs_browser

REDRAWN = ([12, 15, 41, 47], [20, 25, 31, 36])


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return make_data(tmp_path_factory.mktemp("reviewed") / "data", masks=False)


@pytest.fixture(scope="module")
def address(run, data) -> Iterator[str]:
    boxes = ("--boxes", data / "annotations.json", "--out", data / "accepted.json")
    with served("review", run.path, data / "images", *boxes) as link:
        yield link


@pytest.fixture
def page(browser, address, data) -> Iterator[Page]:
    (data / "accepted.json").unlink(missing_ok=True)
    with visited(browser, address) as page:
        expect(page.locator("#stage .big_box")).to_have_count(1)
        yield page


def shown_id(page: Page) -> int:
    return int(page.url.partition("#")[2])


def open_object(page: Page, object_id: int) -> None:
    page.goto(f"{page.url.partition('#')[0]}#{object_id}")
    page.reload()
    expect(page.locator("#about")).to_contain_text(f"object {object_id}")
    expect(page.locator("#stage .big_box")).to_have_count(1)


def press(page: Page, key: str, *, judged: int) -> int:
    """Presses a key that gives a verdict; the id of the object it was given on."""
    object_id = shown_id(page)
    page.keyboard.press(key)
    expect(page.locator("#progress-text")).to_contain_text(f"{judged} of 6 objects")
    expect(page.locator("#objects [aria-current] .dot")).to_have_class("dot ")  # the next is open
    return object_id


def rows(data: Path) -> dict[int, dict]:
    content = json.loads((data / "accepted.json").read_text())
    return {row["id"]: row for row in (*content["annotations"], *content["rejected"])}


def test_accept_redraw_and_reject_are_all_that_the_file_holds(page, data):
    open_object(page, 20)
    page.keyboard.press("r")
    expect(page.locator("#hint")).to_contain_text("big box")
    for box in REDRAWN:
        draw(page, box)
    expect(page.locator("#hint")).to_contain_text("A new mask")
    expect(page.locator("#stage .masks > rect")).to_have_count(1)
    page.get_by_role("button", name="Accept").click()
    expect(page.locator("#progress-text")).to_contain_text("1 of 6 objects")
    accepted = press(page, "a", judged=2)
    rejected = press(page, "x", judged=3)
    verdicts = {i: row["verdict"] for i, row in rows(data).items()}
    assert verdicts == {accepted: "accepted", rejected: "rejected", 20: "redrawn"}
    row = rows(data)[20]
    assert (row["big_box"], row["small_box"]) == REDRAWN
    assert row["area"] > 0 and row["segmentation"]["size"] == [72, 96]
    exported = read_two_boxes(
        data / "accepted.json"
    ).with_objects()  # as train and evaluate read it
    ids = [i for record in exported.images for i in record.object_ids.tolist()]
    assert sorted(ids) == sorted([20, accepted]) and exported.has_masks


def test_a_reload_goes_on_where_one_was(page, data, address):
    press(page, "a", judged=1)
    press(page, "x", judged=2)
    before, here = rows(data), shown_id(page)
    page.reload()
    expect(page.locator("#progress-text")).to_have_text("2 of 6 objects")
    assert shown_id(page) == here
    page.goto(address)
    expect(page.locator("#objects [aria-current] .dot")).to_have_class("dot ")
    assert shown_id(page) == here
    assert rows(data) == before


def test_the_last_verdict_is_taken_back(page, data):
    object_id = press(page, "a", judged=1)
    page.keyboard.press("u")
    expect(page.locator("#progress-text")).to_have_text("0 of 6 objects")
    assert shown_id(page) == object_id
    assert rows(data) == {}


def test_changed_boxes_come_back_with_escape(page):
    before = page.locator("#stage .big_box").get_attribute("width")
    page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator("#stage .big_box")).not_to_have_attribute("width", before)
    expect(page.locator("#slider")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(page.locator("#stage .big_box")).to_have_attribute("width", before)
    expect(page.locator("#slider")).to_be_enabled()


def test_the_slider_parts_before_from_after(page):
    masks = page.locator("#stage .masks > rect")

    def widths() -> list[float]:
        return [float(rect.get_attribute("width")) for rect in masks.all()]

    expect(masks).to_have_count(2)
    only_after = widths()
    assert only_after[0] == 0 < only_after[1]
    page.keyboard.press("b")
    only_before = widths()
    assert only_before[0] > 0 == only_before[1]
    page.locator("#slider").fill("50")
    assert page.locator("#stage .divider").get_attribute("d").startswith("M")
    assert widths()[0] < only_before[0] or widths()[1] < only_after[1]


def test_two_tabs_do_not_judge_over_each_other(page, data, browser, address):
    with visited(browser, address) as other:
        expect(other.locator("#stage .big_box")).to_have_count(1)
        object_id = press(page, "x", judged=1)
        assert shown_id(other) == object_id
        other.keyboard.press("a")
        expect(other.locator("#notice")).to_contain_text("judged elsewhere")
        assert rows(data)[object_id]["verdict"] == "rejected"
        other.get_by_role("button", name="Load what is there now").click()
        expect(other.locator("#reject")).to_have_class("given")


def test_names_are_text(page):
    assert page.locator("img").count() == 0
    expect(page.locator("#objects .name", has_text=HOSTILE_NAME)).to_have_count(2)


def test_the_list_shows_what_is_asked_for(page):
    press(page, "x", judged=1)
    page.locator("#filter").select_option("rejected")
    expect(page.locator("#objects li")).to_have_count(2)  # and the one on the stage
    page.locator("#filter").select_option("open")
    expect(page.locator("#objects li")).to_have_count(5)


def test_an_edge_of_a_box_can_be_dragged(page, data):
    box = page.locator("#stage .big_box")
    left, top, width, height = (float(box.get_attribute(n)) for n in ("x", "y", "width", "height"))
    page.mouse.move(*on_screen(page, (left, top)))
    page.mouse.down()
    page.mouse.move(*on_screen(page, (left - 2, top - 1)))
    page.mouse.up()
    expect(box).to_have_attribute("width", str(int(width + 2)))
    object_id = press(page, "a", judged=1)
    row = rows(data)[object_id]
    assert row["verdict"] == "redrawn"
    assert row["big_box"] == [left - 2, top - 1, left + width, top + height]

"""The page as a person uses it, in a real browser: what is drawn is what the file holds, to the pixel."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import (
    Page,
    drag,
    draw,
    needs_browser,
    on_screen,
    served,
    visited,
)
from PIL import Image
from playwright.sync_api import expect

pytestmark = needs_browser

HOSTILE = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Bright discs on images of awkward shapes, one of them with a name that is markup."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "images").mkdir()
    sizes = {"1 square.png": (200, 300), "2 wide.png": (90, 3000), "3 tall.png": (1200, 60)}
    for name, (height, width) in {**sizes, HOSTILE: (50, 50)}.items():
        y, x = np.mgrid[:height, :width]
        disc = np.hypot((x % 100) - 50, (y % 100) - 50) < 25
        pixels = np.where(disc[..., None], (220, 180, 90), (40, 60, 50)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / name)
    return folder


@pytest.fixture(scope="module")
def address(folder) -> Iterator[str]:
    """The page's own command, and the link it prints."""
    with served("annotate", folder / "images", "--out", folder / "two_boxes.json") as link:
        yield link


@pytest.fixture
def page(browser, address, folder) -> Iterator[Page]:
    (folder / "two_boxes.json").unlink(missing_ok=True)
    with visited(browser, address) as page:
        expect(page.locator("#size")).to_contain_text("300")
        yield page


def saved(page: Page, folder: Path) -> list[tuple[list[int], list[int]]]:
    """Both boxes of every object in the file."""
    expect(page.locator("#saved")).to_have_text("Saved")
    rows = json.loads((folder / "two_boxes.json").read_text())["annotations"]
    return [(row["big_box"], row["small_box"]) for row in rows]


def open_image(page: Page, name: str) -> None:
    page.locator("#images .row", has_text=name).click()
    expect(page.locator("#name")).to_have_text(name)
    expect(page.locator("#size")).not_to_be_empty()


def test_an_image_asked_for_while_another_is_on_its_way_is_shown(page):
    shown = page.evaluate(
        """() => new Promise((done) => {
            const [first, second] = document.querySelectorAll("#images .row");
            const shown = [];
            new MutationObserver(([change]) => {
                shown.push(change.target.textContent);
                if (shown.length === 2) done(shown);
            }).observe(document.getElementById("name"), { childList: true });
            second.click();
            first.click();
        })"""
    )
    names = [row.get_attribute("title") for row in page.locator("#images .row").all()[:2]]
    assert shown == names[::-1]


FIRST = ([20, 15, 82, 84], [40, 38, 60, 61])
NESTED = ([30, 28, 71, 70], [45, 44, 56, 57])  # lies in the first's big box


def draw_both(page: Page) -> None:
    for big, small in (FIRST, NESTED):
        draw(page, big)
        draw(page, small)


def test_four_drags_make_two_objects_one_inside_the_other(page, folder):
    draw_both(page)
    assert saved(page, folder) == [FIRST, NESTED]
    expect(page.locator("#objects li")).to_have_count(2)
    expect(page.locator("#progress-text")).to_have_text("1 of 4 images")


def test_the_mask_appears_within_two_seconds(page):
    draw(page, FIRST[0])
    draw(page, FIRST[1])
    expect(page.locator("#stage .masks > rect")).to_have_count(1, timeout=2000)


def test_edits_undo_and_redo_reach_the_file(page, folder):
    draw_both(page)
    drag(page, (71, 70), (75, 66))  # the handle at the corner of the big box
    edited = ([30, 28, 75, 66], NESTED[1])
    assert saved(page, folder) == [FIRST, edited]
    page.keyboard.press("ArrowRight")
    assert saved(page, folder) == [FIRST, ([31, 28, 76, 66], NESTED[1])]
    for _ in range(2):
        page.keyboard.press("Control+z")
    assert saved(page, folder) == [FIRST, NESTED]
    page.keyboard.press("Control+Shift+Z")
    assert saved(page, folder) == [FIRST, edited]
    page.locator("#objects .row").first.click()
    page.keyboard.press("Delete")
    assert saved(page, folder) == [edited]
    page.keyboard.press("Control+z")
    assert sorted(saved(page, folder)) == [FIRST, edited]


def test_a_reload_shows_what_the_file_holds(page, folder):
    draw_both(page)
    before = saved(page, folder)
    page.reload()
    expect(page.locator("#stage .big_box")).to_have_count(2)
    draw(page, [120, 20, 180, 80])
    draw(page, [140, 40, 160, 60])
    assert saved(page, folder) == [*before, ([120, 20, 180, 80], [140, 40, 160, 60])]


@pytest.mark.parametrize(
    ("name", "middle", "big", "small"),
    [
        ("2 wide.png", (2451, 50), [2411, 12, 2489, 89], [2440, 40, 2461, 63]),
        ("3 tall.png", (50, 1151), [21, 1103, 60, 1197], [41, 1140, 58, 1160]),
    ],
)
def test_boxes_on_a_zoomed_image_are_exact(page, folder, name, middle, big, small):
    open_image(page, name)
    page.mouse.move(*on_screen(page, middle))
    while page.evaluate("document.querySelector('#stage').getScreenCTM().a") < 5:
        page.mouse.wheel(0, -120)
        page.mouse.move(*on_screen(page, middle))
    draw(page, big)
    draw(page, small)
    assert saved(page, folder) == [(big, small)]


def test_a_box_that_leaves_the_image_ends_at_its_edge(page, folder):
    drag(page, (-8, 150), (60, 230))
    drag(page, (10, 160), (90, 190))
    assert saved(page, folder) == [([0, 150, 60, 200], [10, 160, 60, 190])]


def test_a_bad_box_is_marked_and_says_why(page, folder):
    draw_both(page)
    saved(page, folder)
    drag(page, (56, 57), (80, 60))  # the small box's corner, out of its big box
    saved(page, folder)
    expect(page.locator("#objects .problem")).to_contain_text("leaves big_box")
    expect(page.locator("#stage rect.bad")).to_have_count(2)


def test_an_unfinished_object_is_dropped_by_escape(page, folder):
    draw(page, FIRST[0])
    expect(page.locator("#hint")).to_contain_text("small box")
    drag(page, (150, 150), (170, 170))  # beside the big box
    expect(page.locator("#hint")).to_contain_text("goes inside the big one")
    page.keyboard.press("Escape")
    expect(page.locator("#objects li")).to_have_count(0)
    assert not (folder / "two_boxes.json").exists()


def test_an_unfinished_object_is_not_left_behind(page, folder):
    leaves = "dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    draw(page, FIRST[0])
    page.keyboard.press("n")
    expect(page.locator("#hint")).to_have_text("Draw its small box, or Esc drops it.")
    expect(page.locator("#name")).to_have_text("1 square.png")
    assert not page.evaluate(leaves)
    draw(page, FIRST[1])
    assert saved(page, folder) == [FIRST]
    assert page.evaluate(leaves)
    page.keyboard.press("n")
    expect(page.locator("#name")).to_have_text("2 wide.png")


def test_two_tabs_do_not_overwrite_each_other(page, folder, browser, address):
    other = browser.new_page(viewport={"width": 1280, "height": 800})
    other.goto(address)
    expect(other.locator("#size")).not_to_be_empty()
    draw(page, FIRST[0])
    draw(page, FIRST[1])
    assert saved(page, folder) == [FIRST]
    draw(other, NESTED[0])
    draw(other, NESTED[1])
    expect(other.locator("#notice")).to_contain_text("changed elsewhere")
    assert saved(page, folder) == [FIRST]
    other.get_by_role("button", name="Load what is there now").click()
    expect(other.locator("#objects .row")).to_contain_text("62")  # the first's width
    draw(other, NESTED[0])
    draw(other, NESTED[1])
    assert saved(other, folder) == [FIRST, NESTED]
    other.close()


def test_classes_are_added_and_given_by_key(page, folder):
    page.fill("#class-name", "<b>nucleus</b>")
    page.keyboard.press("Enter")
    expect(page.locator("#classes .row")).to_have_count(2)
    draw(page, FIRST[0])
    draw(page, FIRST[1])
    expect(page.locator("#objects .name")).to_have_text("<b>nucleus</b>")
    page.keyboard.press("1")
    saved(page, folder)
    row = json.loads((folder / "two_boxes.json").read_text())["annotations"][0]
    assert row["category_id"] == 1


def test_names_are_text_and_an_image_may_hold_nothing(page, folder):
    open_image(page, HOSTILE)
    assert page.locator("img").count() == 0
    page.keyboard.press("e")
    saved(page, folder)
    rows = json.loads((folder / "two_boxes.json").read_text())["images"]
    assert [row["file_name"] for row in rows] == [HOSTILE]
    page.keyboard.press("p")
    expect(page.locator("#name")).to_have_text("3 tall.png")

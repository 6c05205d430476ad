"""The whole walk of a person through images of awkward shapes, seen whole and zoomed: draw, mend, take back, reload."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import Page, needs_browser, on_screen, served, visited
from PIL import Image
from playwright.sync_api import expect

pytestmark = needs_browser

SIZES = {"1 wide.png": (3000, 400), "2 tall.png": (400, 3000), "3 plain.png": (320, 240)}
# (big, small) of an object, and of one that lies in its big box; on the wide image
WHOLE = ([300, 60, 1700, 340], [700, 150, 1300, 250]), ([400, 90, 650, 310], [470, 150, 580, 250])
ZOOMED = (
    ([1455, 160, 1545, 240], [1505, 190, 1535, 212]),
    ([1462, 168, 1496, 232], [1470, 182, 1488, 220]),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("walked")
    (folder / "images").mkdir()
    for name, (width, height) in SIZES.items():
        y, x = np.mgrid[:height, :width]
        disc = np.hypot((x % 200) - 100, (y % 200) - 100) < 50
        pixels = np.where(disc[..., None], (220, 180, 90), (40, 60, 50)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / name)
    return folder


@pytest.fixture(scope="module")
def address(folder) -> Iterator[str]:
    with served("annotate", folder / "images", "--out", folder / "two_boxes.json") as link:
        yield link


@pytest.fixture
def page(browser, address, folder) -> Iterator[Page]:
    (folder / "two_boxes.json").unlink(missing_ok=True)
    with visited(browser, address) as page:
        expect(page.locator("#size")).not_to_be_empty()
        yield page


def on_image(page: Page, point: tuple[int, int]) -> list[float]:
    """Where a point of the window lies on the image now."""
    return page.evaluate(
        """([x, y]) => {
            const matrix = document.getElementById("stage").getScreenCTM().inverse();
            const at = new DOMPoint(x, y).matrixTransform(matrix);
            return [at.x, at.y];
        }""",
        point,
    )


def drag(page: Page, start, end) -> tuple[list[float], list[float]]:
    """From whole pixel of the window to whole pixel, as a mouse goes; where that was on the image, exactly."""
    from_window, to_window = (
        tuple(round(side) for side in on_screen(page, point)) for point in (start, end)
    )
    exact = on_image(page, from_window), on_image(page, to_window)
    page.mouse.move(*from_window)
    page.mouse.down()
    page.mouse.move(*to_window, steps=3)
    page.mouse.up()
    return exact


def draw(page: Page, box: list[int]) -> list[int]:
    """Draws it as nearly as a mouse can; the box that then has to be in the file."""
    start, end = drag(page, box[:2], box[2:])
    return [rounded(side) for side in (*start, *end)]


def stretch(page: Page, box: list[int], by: int) -> list[int]:
    """Drags the lower right corner outward; the box that then has to be in the file."""
    start, end = drag(page, box[2:], (box[2] + by, box[3] + by))
    ends = (side + after - before for side, before, after in zip(box[2:], start, end, strict=True))
    return [*box[:2], *(rounded(side) for side in ends)]


def rounded(value: float) -> int:
    return math.floor(value + 0.5)


def saved(page: Page, folder: Path) -> list[tuple[list[int], list[int]]]:
    expect(page.locator("#saved")).to_have_text("Saved")
    return boxes_in(folder)


def boxes_in(folder: Path) -> list[tuple[list[int], list[int]]]:
    rows = json.loads((folder / "two_boxes.json").read_text())["annotations"]
    return [(row["big_box"], row["small_box"]) for row in rows]


def open_image(page: Page, name: str) -> None:
    page.locator("#images .row", has_text=name).click()
    expect(page.locator("#name")).to_have_text(name)
    expect(page.locator("#size")).not_to_be_empty()


def zoom_in(page: Page, middle: tuple[int, int]) -> None:
    """By the wheel, until a pixel of the image is five of the screen."""
    while page.evaluate("document.querySelector('#stage').getScreenCTM().a") < 5:
        page.mouse.move(*on_screen(page, middle))
        page.mouse.wheel(0, -120)


@pytest.mark.parametrize("zoomed", [False, True], ids=["whole", "zoomed"])
@pytest.mark.parametrize("name", ["1 wide.png", "2 tall.png"])
def test_what_is_drawn_mended_taken_back_and_reloaded_is_exact(page, folder, name, zoomed):
    is_tall = name == "2 tall.png"

    def turned(box: list[int]) -> list[int]:
        return [box[1], box[0], box[3], box[2]] if is_tall else box

    open_image(page, name)
    if zoomed:
        zoom_in(page, (200, 1500) if is_tall else (1500, 200))
    wanted = [[turned(box) for box in boxes] for boxes in (ZOOMED if zoomed else WHOLE)]
    drawn = [tuple(draw(page, box) for box in boxes) for boxes in wanted]
    if zoomed:
        assert [list(boxes) for boxes in drawn] == wanted  # each pixel can be met
    assert saved(page, folder) == drawn

    mended = stretch(page, drawn[1][0], 5 if zoomed else 20)
    assert mended != drawn[1][0]
    assert saved(page, folder) == [drawn[0], (mended, drawn[1][1])]
    page.keyboard.press("Control+z")
    assert saved(page, folder) == drawn
    page.keyboard.press("Control+Shift+Z")
    assert saved(page, folder) == [drawn[0], (mended, drawn[1][1])]

    page.reload()
    expect(page.locator("#name")).to_have_text(name)
    expect(page.locator("#stage .boxes .big_box")).to_have_count(2)
    shown = page.locator("#stage .boxes .big_box").last
    x, y, width, height = (float(shown.get_attribute(a)) for a in ("x", "y", "width", "height"))
    assert [x, y, x + width, y + height] == mended
    assert boxes_in(folder) == [drawn[0], (mended, drawn[1][1])]


@pytest.mark.parametrize("name", SIZES)
def test_the_mask_of_any_shape_of_image_appears_within_two_seconds(page, name):
    open_image(page, name)
    side = 1 if name == "2 tall.png" else 0
    for box in ([20, 20, 180, 180], [70, 70, 130, 130]):
        moved = [value + (200 if axis % 2 == side else 0) for axis, value in enumerate(box)]
        draw(page, moved if name != "3 plain.png" else box)
    expect(page.locator("#stage .masks > rect")).to_have_count(1, timeout=2000)


def test_the_image_that_sam_is_least_sure_of_is_one_key_away(page, folder):
    """Judged in the background; whatever it finds, each press leads to an image that nobody has seen."""
    open_image(page, "3 plain.png")
    draw(page, [60, 60, 280, 220])
    draw(page, [120, 100, 200, 160])
    saved(page, folder)
    page.keyboard.press("u")
    expect(page.locator("#name")).not_to_have_text("3 plain.png")
    first = page.locator("#name").inner_text()
    (other,) = {"1 wide.png", "2 tall.png"} - {first}
    expect(page.locator("#size")).not_to_be_empty()
    page.get_by_role("button", name="Least sure").click()
    expect(page.locator("#name")).to_have_text(other)
    expect(page.locator("#size")).not_to_be_empty()
    page.keyboard.press("e")
    saved(page, folder)
    page.keyboard.press("u")
    expect(page.locator("#name")).to_have_text(first)
    expect(page.locator("#size")).not_to_be_empty()
    page.keyboard.press("e")
    saved(page, folder)
    page.keyboard.press("u")
    expect(page.locator("#hint")).to_have_text("There is no other image that nobody has seen.")
    expect(page.locator("#name")).to_have_text(first)

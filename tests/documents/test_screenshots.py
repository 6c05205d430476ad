"""The pictures in docs/images, taken from the real pages in a real browser.

`RINGSAM_SCREENSHOTS=demo_run pytest tests/documents/test_screenshots.py` takes them anew from the run of a finished `make demo`;
without that, a run of one short epoch stands in, and the pictures are looked at and thrown away.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from browsing import Page, draw, needs_browser, served, visited
from documents.conftest import cut_sample
from documents.pages import PAGES, ROOT
from PIL import Image
from playwright.sync_api import expect

from ringsam.cli import main

pytestmark = needs_browser

PLACE = ROOT / "docs/images"
DEMO = os.environ.get("RINGSAM_SCREENSHOTS")
MAX_BYTES = 150_000
NUM_COLOURS, LEAST_COLOURS = 256, 60


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    """These pages show what a real SAM makes, which may take a busy machine long."""
    expect.set_options(timeout=120_000)
    yield
    expect.set_options(timeout=5_000)


@pytest.fixture
def some(tmp_path) -> Path:
    """Two images of the sample's test part, with their masks."""
    return cut_sample(tmp_path, "test", "annotations.json", per_image=8)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run with its evaluation and its report."""
    if DEMO:
        return Path(DEMO).absolute()
    folder = tmp_path_factory.mktemp("runs") / "short"
    some = cut_sample(folder.parent, "test", "annotations.json", per_image=8)
    short = ["--epochs", "1", "--data.input_size", "128"]
    assert main(["train", str(some), "--out", str(folder), *short]) == 0
    assert main(["evaluate", str(folder), str(some)]) == 0
    assert main(["report", str(folder)]) == 0
    return folder


@pytest.fixture
def take(tmp_path) -> Callable[[Page, str], None]:
    """Takes the picture of a page, small enough for a repository, and looks whether the page is alive in it."""
    place = PLACE if DEMO else tmp_path

    def take_picture(page: Page, name: str) -> None:
        path, size = place / name, page.viewport_size
        assert size is not None
        with Image.open(BytesIO(page.screenshot(animations="disabled", caret="hide"))) as shot:
            assert shot.size == (size["width"], size["height"])
            shot.convert("RGB").quantize(NUM_COLOURS).save(path, optimize=True)
        assert_alive(path)

    return take_picture


def assert_alive(path: Path) -> None:
    """More than a blank, a plain or a half painted page, in each quarter of it."""
    assert path.stat().st_size < MAX_BYTES
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    middle = [side // 2 for side in pixels.shape[:2]]
    quarters = [
        part
        for half in np.split(pixels, [middle[0]])
        for part in np.split(half, [middle[1]], axis=1)
    ]
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) >= LEAST_COLOURS
    for quarter in quarters:
        colours, counts = np.unique(quarter.reshape(-1, 3), axis=0, return_counts=True)
        assert len(colours) > 8 and counts.max() < 0.97 * counts.sum()


def test_the_page_to_draw_on(browser, some, take):
    content = json.loads((some / "annotations.json").read_text(encoding="utf-8"))
    image = content["images"][-1]
    rows = [row for row in content["annotations"] if row["image_id"] == image["id"]]
    with (
        served("annotate", some / "images", "--out", some / "two_boxes.json") as link,
        visited(browser, link) as page,
    ):
        page.locator("#images .row").last.click()
        expect(page.locator("#name")).to_have_text(image["file_name"])
        expect(page.locator("#size")).not_to_be_empty()
        for number, row in enumerate(rows, start=1):
            draw(page, row["big_box"])
            draw(page, row["small_box"])
            expect(page.locator("#stage .masks > rect")).to_have_count(number)
        expect(page.locator("#saved")).to_have_text("Saved")
        expect(page.locator("#objects li")).to_have_count(len(rows))
        expect(page.locator("#stage rect.bad")).to_have_count(0)
        take(page, "annotate.png")


def test_the_page_to_review_on(browser, run, some, take):
    boxes = ("--boxes", some / "annotations.json", "--out", some / "accepted.json")
    with (
        served("review", run, some / "images", *boxes) as link,
        visited(browser, link) as page,
    ):
        for number, key in enumerate("aaxa", start=1):
            expect(page.locator("#stage .masks > rect")).to_have_count(2)
            page.keyboard.press(key)
            expect(page.locator("#progress-text")).to_contain_text(f"{number} of 16 objects")
        expect(page.locator("#stage .masks > rect")).to_have_count(2)
        page.locator("#slider").fill("50")
        expect(page.locator("#stage .divider")).to_have_attribute("d", re.compile("^M"))
        expect(page.locator("#saved")).to_have_text("Saved")
        take(page, "review.png")


def test_the_report(browser, run, take):
    with visited(browser, (run / "report.html").as_uri(), (1056, 720)) as page:
        page.locator(".show-split").scroll_into_view_if_needed()
        page.locator(".group").first.evaluate("(group) => group.scrollIntoView()")
        for part in page.locator(".object .part").all()[:4]:
            expect(part).to_be_visible()
        page.locator(".slider").first.fill("70")
        take(page, "report.png")
        page.evaluate("scrollTo(0, 0)")
        expect(page.locator("h1")).to_be_in_viewport()
        expect(page.locator("table").first).to_be_visible()
        take(page, "report_top.png")


def test_a_blank_page_is_not_taken_for_a_live_one(tmp_path):
    path = tmp_path / "blank.png"
    pixels = np.full((200, 300, 3), 250, np.uint8)
    for fill in (None, np.s_[:100], np.s_[:, :150]):
        if fill is not None:
            noise = np.random.default_rng(0).integers(0, 16, pixels[fill].shape) * 16
            pixels = np.full_like(pixels, 250)
            pixels[fill] = noise
        Image.fromarray(pixels).save(path)
        with pytest.raises(AssertionError):
            assert_alive(path)


def test_every_picture_of_the_documents_is_there_and_small():
    shown = set()
    for page in PAGES:
        names = re.findall(r"!\[[^]]*\]\(([^)]+)\)", page.read_text(encoding="utf-8"))
        shown |= {(page.parent / name).resolve() for name in names}
    assert {path.name for path in shown} == {path.name for path in PLACE.glob("*.png")}
    assert all(path.stat().st_size < MAX_BYTES for path in shown)

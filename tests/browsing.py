"""A person's hands on a page in a real browser."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
Point = tuple[float, float]

needs_browser = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@contextmanager
def served(*arguments: object) -> Iterator[str]:
    """The page that this command of ringsam serves: the link it prints."""
    command = [sys.executable, "-m", "ringsam", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield re.findall(r"http://\S+", server.stdout.readline())[0]
        finally:
            server.terminate()


@contextmanager
def running_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def visited(browser: Browser, address: str, size: Sequence[int] = (1280, 800)) -> Iterator[Page]:
    """The page in a tab of its own; a slip of a script, or a dialog that nobody asked for, fails the test."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    slips: list[str] = []
    page.on("pageerror", lambda error: slips.append(str(error)))
    page.on("dialog", lambda dialog: slips.append(dialog.message) or dialog.dismiss())
    page.goto(address)
    yield page
    page.close()
    assert slips == []


def on_screen(page: Page, point: Point) -> Point:
    """Where a point of the image lies in the window now."""
    x, y = page.evaluate(
        """([x, y]) => {
            const stage = document.getElementById("stage");
            const at = new DOMPoint(x, y).matrixTransform(stage.getScreenCTM());
            return [at.x, at.y];
        }""",
        point,
    )
    return x, y


def drag(page: Page, start: Point, end: Point) -> None:
    """From one point of the image to another."""
    (x1, y1), (x2, y2) = on_screen(page, start), on_screen(page, end)
    page.mouse.move(x1, y1)
    page.mouse.down()
    page.mouse.move((x1 + x2) / 2, (y1 + y2) / 2)
    page.mouse.move(x2, y2)
    page.mouse.up()


def draw(page: Page, box: Sequence[int]) -> None:
    drag(page, (box[0], box[1]), (box[2], box[3]))

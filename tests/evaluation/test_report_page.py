"""The report in a real browser, opened from the disk."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from browsing import Page, needs_browser, visited
from evaluation.made_runs import draw_sheets, make_data, make_run
from playwright.sync_api import expect

from ringsam.config import Config
from ringsam.evaluation.evaluate import evaluate
from ringsam.evaluation.report import write_report
from ringsam.evaluation.result import write_evaluation

pytestmark = needs_browser


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """The report of a run with objects of two classes."""
    root = tmp_path_factory.mktemp("report")
    run = make_run(root / "run", Config())
    draw_sheets(run, num_epochs=2)
    found = evaluate(run.path, make_data(root / "data", num_images=5))
    rows = (replace(row, category="ab"[row.object_id % 2]) for row in found.objects)
    write_evaluation(replace(found, objects=tuple(rows)), run.evaluation)
    return write_report(run).as_uri()


@pytest.fixture
def page(browser, address) -> Iterator[Page]:
    with visited(browser, address) as page:
        yield page


def share_cut_off(page: Page, layer: str) -> float:
    """How much of the first object's layer the slider hides, 0 to 1."""
    part = page.locator(f".object .{layer}.part").first
    cut = part.evaluate("(part) => getComputedStyle(part).clipPath")
    return (
        max(float(side.strip("%)")) for side in cut.partition("(")[2].split() if "%" in side) / 100
    )


def test_the_slider_parts_before_from_after(page):
    slider = page.locator(".slider").first
    for value in (20, 75):
        slider.fill(str(value))
        assert share_cut_off(page, "adapted") == value / 100
        assert share_cut_off(page, "zero_shot") == 1 - value / 100
    slider.press("ArrowRight")
    assert share_cut_off(page, "adapted") == 0.76


def test_without_the_slider_both_masks_are_whole(page):
    page.locator(".show-split").uncheck()
    for layer in ("adapted", "zero_shot"):
        part = page.locator(f".object .{layer}.part").first
        assert part.evaluate("(part) => getComputedStyle(part).clipPath") == "none"
    expect(page.locator(".slider").first).to_be_hidden()


def test_objects_are_chosen_by_group_and_by_class(page):
    titles = page.locator(".group h3").all_inner_texts()
    page.locator(".choose-group").select_option(index=1)
    expect(page.locator(".group:visible")).to_have_count(1)
    page.locator(".choose-group").select_option("")
    page.locator(".choose-class").select_option("b")
    categories = page.locator(".object:visible").evaluate_all(
        "(all) => all.map((each) => each.dataset.category)"
    )
    assert categories and set(categories) == {"b"}
    page.locator(".choose-class").select_option("")
    expect(page.locator(".group:visible")).to_have_count(len(titles))


def test_a_slider_turns_the_epochs(page):
    shown, slider = page.locator(".sheet:visible figcaption"), page.locator(".choose-epoch")
    expect(shown).to_have_text(["after epoch 2"])
    slider.fill("0")
    expect(shown).to_have_text(["before training"])
    slider.press("ArrowRight")
    expect(shown).to_have_text(["after epoch 1"])
    expect(slider).to_have_attribute("aria-valuetext", "after epoch 1")

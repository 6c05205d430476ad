import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made_runs import HOSTILE_NAME, draw_sheets, epoch, make_data, make_run

from ringsam.config import Config, MethodConfig
from ringsam.errors import InputError
from ringsam.evaluation.evaluate import evaluate
from ringsam.evaluation.report import changed_settings, content_digest, write_report
from ringsam.evaluation.result import read_evaluation, write_evaluation
from ringsam.evaluation.sheets import MAX_SHEETS
from ringsam.provenance import recipe_name
from ringsam.runs import RunFolder


class Tags(HTMLParser):
    """Counts tags, and keeps every address that a browser would fetch."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.addresses: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    root = tmp_path_factory.mktemp("report")
    run = make_run(root / "run", Config(epochs=2, method=MethodConfig(unfreeze_last_k=1)))
    evaluate(run.path, make_data(root / "data"))
    return run


@pytest.fixture(scope="module")
def page(run: RunFolder) -> str:
    return write_report(run).read_text(encoding="utf-8")


def test_the_page_shows_result_curves_objects_and_settings(run: RunFolder, page: str) -> None:
    evaluation = read_evaluation(run.evaluation)
    assert f"{evaluation.zero_shot.miou:.4f}" in page
    for words in ("somewhere/train", "Contrast loss", "mIoU in training, pseudo", "Signal ledger",
                  "Lowest IoU after the adaptation", "method.unfreeze_last_k", "Hard negatives"):  # fmt: skip
        assert words in page
    assert page.count("data:image/jpeg;base64,") >= 5


def test_the_page_needs_no_network_and_lets_in_no_script_but_its_own(page: str) -> None:
    tags = Tags(page)
    assert tags.counts["script"] == 1
    script = page.partition("<script>")[2].partition("</script>")[0]
    assert f"script-src '{content_digest(script)}';" in page and "innerHTML" not in script
    assert all(address.startswith("data:image/") for address in tags.addresses)
    assert "default-src 'none'" in page


def test_hostile_names_and_labels_stay_text(page: str) -> None:
    assert HOSTILE_NAME not in page
    assert "&lt;img src=x onerror=alert(1)&gt;.png" in page
    assert "img" not in Tags(page).counts
    assert "&lt;b&gt;disc&lt;/b&gt;" in page


def test_the_page_does_not_tell_where_on_the_disk_the_data_lie(run: RunFolder, page: str) -> None:
    assert str(run.path.parent) not in page


def test_without_an_evaluation_the_page_shows_the_training_and_says_so(tmp_path: Path) -> None:
    page = write_report(make_run(tmp_path / "run", Config())).read_text(encoding="utf-8")
    assert "No evaluation was made" in page and "ringsam review" in page
    assert "Contrast loss" in page
    assert "2 of 10 epochs have finished" in page
    assert "Zero-shot against adapted" not in page


def test_a_run_without_a_finished_epoch_has_a_page(tmp_path: Path) -> None:
    page = write_report(make_run(tmp_path / "run", Config(), num_epochs=0)).read_text(
        encoding="utf-8"
    )
    assert "No epoch has finished" in page


def test_the_epochs_pictures_are_shown_with_the_quality_of_each(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Config())
    quality = {"mask_free_quality_before": 0.8, "mask_free_quality": 0.9}
    rows = [epoch(1, **quality), epoch(2)]
    run.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    draw_sheets(run, num_epochs=2)
    page = write_report(run).read_text(encoding="utf-8")
    titles = re.findall(r'<figcaption class="small">(.*?)</figcaption>', page)
    assert titles == [
        "before training · mask-free quality 0.800",
        "after epoch 1 · mask-free quality 0.900",
        "after epoch 2",
    ]
    assert len(set(re.findall(r'<image href="(data:image/jpeg;base64,.*?)"', page))) == 3


def test_of_many_epochs_as_many_are_shown_as_keep_the_page_small(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Config())
    draw_sheets(run, num_epochs=23)
    page = write_report(run).read_text(encoding="utf-8")
    titles = re.findall(r'<figcaption class="small">(.*?)</figcaption>', page)
    assert len(titles) == MAX_SHEETS
    assert titles[0] == "before training" and titles[-1] == "after epoch 23"


def test_a_picture_that_was_cut_is_told_and_the_rest_is_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Config())
    draw_sheets(run, num_epochs=2)
    run.sheet(1).write_bytes(run.sheet(1).read_bytes()[:60])
    page = write_report(run).read_text(encoding="utf-8")
    assert "The pictures of the epochs could not be shown" in page and "epoch=0001.png" in page
    assert "Contrast loss" in page


def test_losses_that_are_not_numbers_leave_a_gap(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Config())
    rows = [epoch(1), epoch(2, contrast=float("nan")), epoch(3, distill=float("inf"))]
    run.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = write_report(run).read_text(encoding="utf-8")
    assert "not a number from epoch 2 on" in page
    assert not re.search(r'd="[^"]*(nan|inf)', page)


def test_data_that_are_gone_cost_the_pictures_only(run: RunFolder, tmp_path: Path) -> None:
    evaluation = replace(read_evaluation(run.evaluation), data=str(tmp_path / "gone"))
    moved = make_run(tmp_path / "run", Config())
    write_evaluation(evaluation, moved.evaluation)
    page = write_report(moved).read_text(encoding="utf-8")
    assert "The images could not be shown" in page
    assert f"{evaluation.zero_shot.miou:.4f}" in page


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        write_report(RunFolder(tmp_path))


def test_only_settings_that_differ_are_listed() -> None:
    assert changed_settings(Config()) == []
    changed = Config(seed=3, method=MethodConfig(temperature=0.2))
    assert changed_settings(changed) == [("seed", "3", "0"), ("method.temperature", "0.2", "0.1")]


def test_a_method_of_ones_own_is_no_bundled_recipe() -> None:
    assert recipe_name(Config()) == "seed"
    assert recipe_name(Config(method=MethodConfig(temperature=0.2))) == "own settings"

"""`ringsam bench`: its table, its drawing, and the command end to end."""

import json
import pickle
import shlex
import signal
import xml.etree.ElementTree as ElementTree
from concurrent.futures import Executor, Future
from types import SimpleNamespace

import pytest
from disc_data import write_disc_data

from ringsam.bench import runs, scores
from ringsam.bench.plot import draw_gains
from ringsam.bench.runs import Bench, bench, finish_run
from ringsam.bench.scores import grabcut_miou, read_miou
from ringsam.bench.sets import data_sets
from ringsam.bench.table import Row, grouped, lines_of
from ringsam.cli import main
from ringsam.config import Config
from ringsam.data.dataset import read_two_boxes
from ringsam.errors import InputError, Interrupted
from ringsam.runs import RunFolder
from ringsam.training.memory import smaller
from ringsam.training.run_lock import lock_run


def row(recipe: str, seed: int, adapted: float) -> Row:
    return Row("cells", recipe, seed, "box", 0.6, adapted, 1.0)


def test_the_gap_closed_is_the_share_of_what_masks_give():
    rows = [row("grabcut", 0, 0.65), row("best", 0, 0.7), row("best", 1, 0.72)]
    lines = list(lines_of(("cells", "box"), list(grouped([*rows, row("masks", 0, 0.8)]))))
    assert lines[0] == "| cells | box | zero-shot | | 0.6000 | | | |"
    assert lines[2] == "| cells | box | best | 2 | 0.7100 ± 0.0141 | +0.1100 | 55% | 1.0 |"


def test_without_a_ceiling_no_gap_is_claimed():
    lines = list(lines_of(("cells", "box"), list(grouped([row("best", 0, 0.7)]))))
    assert lines[1] == "| cells | box | best | 1 | 0.7000 | +0.1000 |  | 1.0 |"


def test_the_drawing_has_a_dot_for_each_recipe_of_each_line_and_dots_lie_by_their_gains():
    gains = {
        "cells, box": [("seed", -0.01, None), ("best", 0.02, 0.005)],
        "<tiles>": [("best", 0.03, None)],
    }
    drawing = ElementTree.fromstring(draw_gains(gains))
    name = "{http://www.w3.org/2000/svg}"
    found = {
        group.find(f"{name}title").text: float(group.find(f"{name}circle").get("cx"))
        for group in drawing.iter(f"{name}g")
    }
    assert list(found) == ["seed: -0.0100", "best: +0.0200", "best: +0.0300"]
    assert found["seed: -0.0100"] < found["best: +0.0200"] < found["best: +0.0300"]


def test_the_tables_command_makes_the_same_table(discs, tmp_path, monkeypatch, capsys):
    asked = []

    def write_nothing(wanted, table, command):
        asked.append((wanted, command))
        table.parent.mkdir(exist_ok=True)
        table.touch()
        return table

    monkeypatch.setattr(runs, "bench", write_nothing)
    own = ["--weights", "my sam.pth", "--input_size", "256", "--data", "discs", "--jobs", "2"]
    out = ["--out", str(tmp_path / "it's here")]
    for flags in (own, ["--seeds", "4", "5", "--recipes", "seed"], []):
        assert main(["bench", str(discs.parent), *out, *flags]) == 0
        (wanted, typed) = asked.pop()
        assert main(shlex.split(typed)[1:]) == 0
        assert asked.pop() == (wanted, typed)
    assert typed == f"ringsam bench {discs.parent} {shlex.join(out)}"


@pytest.mark.slow
def test_the_command_trains_evaluates_and_writes_its_table(tmp_path, sam_folder, capsys):
    for part in ("train", "test"):
        write_disc_data(tmp_path / "root" / "discs" / part, num_images=2)
    out = tmp_path / "bench"
    flags = ["--weights", str(sam_folder), "--recipes", "grabcut", "seed", "--seeds", "0"]
    assert main(["bench", str(tmp_path / "root"), "--out", str(out), "--epochs", "1", *flags]) == 0
    assert "| discs | box | seed | 1 |" in capsys.readouterr().out
    assert {"table.md", "table.csv", "table.svg", "discs-seed-0"} <= {p.name for p in out.iterdir()}


def test_a_set_that_is_not_there_is_named(tmp_path, capsys):
    (tmp_path / "discs" / "train").mkdir(parents=True)
    flags = ["--out", str(tmp_path / "bench"), "--data", "disks"]
    assert main(["bench", str(tmp_path), *flags]) == 2
    assert "no data set disks" in capsys.readouterr().err


@pytest.fixture
def discs(tmp_path):
    """A data set with both parts."""
    for part in ("train", "test"):
        write_disc_data(tmp_path / "root" / "discs" / part, num_images=2)
    return tmp_path / "root" / "discs"


@pytest.mark.parametrize("jobs", ["0", "-1"])
def test_no_runs_at_a_time_are_refused(discs, tmp_path, capsys, jobs):
    arguments = ["bench", str(discs), "--out", str(tmp_path / "out"), "--jobs", jobs]
    assert main(arguments) == 2
    assert f"--jobs {jobs} runs nothing; give 1 or more" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_folders_without_both_parts_are_left_out_and_told(discs, capsys):
    write_disc_data(discs.parent / "untested" / "train", num_images=1)
    (discs.parent / "empty" / "train").mkdir(parents=True)
    assert data_sets(discs.parent, None) == [discs]
    assert "2 folders left out" in (said := capsys.readouterr().out)
    assert said.endswith(": empty, untested\n")


def test_masks_that_import_kept_are_judged_by(discs):
    score = grabcut_miou(discs)
    (discs / "test" / "annotations.json").rename(discs / "test" / "two_boxes.json")
    assert data_sets(discs.parent, ["discs"]) == [discs]
    assert grabcut_miou(discs) == score


def test_a_test_part_without_masks_is_refused_before_anything_is_written(discs, tmp_path, capsys):
    (discs / "test" / "annotations.json").unlink()
    assert main(["bench", str(discs.parent), "--out", str(tmp_path / "bench")]) == 2
    assert "no object has a mask" in capsys.readouterr().err
    assert not (tmp_path / "bench").exists()


def test_an_out_that_cannot_be_made_is_a_user_error(discs, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["bench", str(discs.parent), "--out", str(tmp_path / "file" / "bench")]) == 2
    assert "cannot be made: Not a directory; give another --out" in capsys.readouterr().err


def finished_run(discs, path, config):
    folder = RunFolder(path)
    folder.create()
    lock_run(folder, read_two_boxes(discs / "train"), discs / "train", config)
    folder.write_config(smaller(config))  # as training does where memory runs out
    folder.adapted.mkdir()
    return folder


def test_a_finished_run_is_read_though_memory_made_its_batches_smaller(discs, tmp_path):
    folder = finished_run(discs, tmp_path / "run", Config())
    finish_run(folder, discs, Config())
    with pytest.raises(InputError, match=r"(?s)other settings.*\nepochs: was 10, is 3$"):
        finish_run(folder, discs, Config(epochs=3))


def test_a_run_that_learned_from_other_labels_is_refused(discs, tmp_path):
    folder = finished_run(discs, tmp_path / "run", Config())
    labels = discs / "train" / "two_boxes.json"
    labels.write_text(labels.read_text() + "\n")
    with pytest.raises(InputError, match=r"(?s)other labels.*two_boxes\.json: was changed$"):
        finish_run(folder, discs, Config())


def test_a_figure_is_measured_anew_where_the_test_labels_are_not_those_it_was_measured_on(
    discs, tmp_path, monkeypatch
):
    measured = []

    def evaluate(weights, labels, **asked):
        measured.append(labels)
        return SimpleNamespace(zero_shot=SimpleNamespace(miou=len(measured) / 10))

    monkeypatch.setattr(scores, "evaluate", evaluate)
    kept = tmp_path / "adapted-box.json"
    kept.write_text('{"miou": 0.9}')  # by an older version
    figures = [read_miou(kept, tmp_path, discs, "box") for _ in range(2)]
    labels = discs / "test" / "annotations.json"
    labels.write_text(labels.read_text() + "\n")
    assert [*figures, read_miou(kept, tmp_path, discs, "box")] == [0.1, 0.1, 0.2]
    assert json.loads(kept.read_text())["miou"] == 0.2 and measured == [labels] * 2


class Here(Executor):
    """What is submitted is done at once, in this process."""

    def submit(self, called, *arguments):
        made = Future()
        try:
            made.set_result(called(*arguments))
        except BaseException as error:
            made.set_exception(error)
        return made


def test_an_interrupt_ends_the_run_at_hand_and_no_other_begins(discs, tmp_path, monkeypatch):
    begun = []

    def interrupted(data, recipe, seed, wanted):
        begun.append((seed, signal.getsignal(signal.SIGINT)))
        raise pickle.loads(pickle.dumps(Interrupted(signal.SIGINT, "go on")))

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(runs, "worker_pool", lambda jobs, prepare: Here())
    monkeypatch.setattr(runs, "run_rows", interrupted)
    wanted = Bench(discs.parent, ["seed"], [0, 1, 2], 1, tmp_path / "runs", "nano")
    try:
        with pytest.raises(Interrupted, match="SIGINT: go on") as stopped:
            bench(wanted, tmp_path / "runs" / "table.md", "ringsam bench")
        assert stopped.value.exit_code == 130
        assert begun == [(0, signal.default_int_handler)]
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # idle
    finally:
        signal.signal(signal.SIGINT, before)

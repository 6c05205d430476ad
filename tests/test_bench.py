"""`ringsam bench`: its table, its drawing, and the command end to end."""

import pickle
import signal
import xml.etree.ElementTree as ElementTree
from concurrent.futures import Executor, Future

import pytest
from disc_data import write_disc_data

from ringsam.bench import runs
from ringsam.bench.plot import draw_gains
from ringsam.bench.runs import Bench, bench
from ringsam.bench.table import Row, grouped, lines_of
from ringsam.cli import main
from ringsam.errors import Interrupted


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


class Here(Executor):
    """What is submitted is done at once, in this process."""

    def submit(self, called, *arguments):
        made = Future()
        try:
            made.set_result(called(*arguments))
        except BaseException as error:
            made.set_exception(error)
        return made


def test_an_interrupt_ends_the_run_at_hand_and_no_other_begins(tmp_path, monkeypatch):
    begun = []

    def interrupted(data, recipe, seed, wanted):
        begun.append((seed, signal.getsignal(signal.SIGINT)))
        raise pickle.loads(pickle.dumps(Interrupted(signal.SIGINT, "go on")))

    before = signal.getsignal(signal.SIGINT)
    write_disc_data(tmp_path / "root" / "discs" / "train", num_images=1)
    write_disc_data(tmp_path / "root" / "discs" / "test", num_images=1)
    monkeypatch.setattr(runs, "worker_pool", lambda jobs, prepare: Here())
    monkeypatch.setattr(runs, "run_rows", interrupted)
    wanted = Bench(tmp_path / "root", ["seed"], [0, 1, 2], 1, tmp_path / "runs", "nano")
    try:
        with pytest.raises(Interrupted, match="SIGINT: go on") as stopped:
            bench(wanted, tmp_path / "runs" / "table.md", "ringsam bench")
        assert stopped.value.exit_code == 130
        assert begun == [(0, signal.default_int_handler)]
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # idle
    finally:
        signal.signal(signal.SIGINT, before)

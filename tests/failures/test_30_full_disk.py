"""Row 30: a disk that fills while a checkpoint is written keeps the old one whole, is told with the megabytes, and the run goes on to its next try; too small a disk is refused before the run."""

import re
import resource
import shutil
from collections import namedtuple
from contextlib import contextmanager

import torch
from data.written_rows import an_object
from evaluation.made_runs import make_run
from processes import train_flags

from ringsam.cli import main
from ringsam.config import Config
from ringsam.runs import RunFolder
from ringsam.training import checkpoint, session, space
from ringsam.training.checkpoint import read_checkpoint
from ringsam.training.epoch_log import EpochLog
from ringsam.training.keeping import Checkpoints
from ringsam.training.tensorboard import SparableTensorBoard

Usage = namedtuple("Usage", "total used free")


@contextmanager
def no_room():
    """The system itself refuses every byte to a file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_checkpoint_that_the_disk_refuses_is_told_and_the_run_goes_on(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys
):
    """The system itself stops the second checkpoint in the middle: no file may grow beyond 100 kB for so long."""
    out, saves, save = tmp_path / "run", [], torch.save
    folder = out / "checkpoints"

    def save_with_little_room(content, file):
        saves.append(sorted(path.name for path in folder.glob("*.ckpt")))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        if len(saves) == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:
            save(content, file)
            file.flush()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            if len(saves) == 3:
                assert read_checkpoint(folder / "epoch=0000.ckpt")

    monkeypatch.setattr(checkpoint.torch, "save", save_with_little_room)
    flags = map(str, train_flags(sam_folder, out, num_epochs=3))
    assert main(["train", str(disc_data), *flags]) == 0
    said = capsys.readouterr().out
    (told,) = (line for line in said.splitlines() if "NOT SAVED" in line)
    assert str(folder / "epoch=0001.ckpt") in told and "File too large" in told
    need, free = (float(number) for number in re.findall(r"([\d.]+) MB", told))
    size = (folder / "epoch=0002.ckpt").stat().st_size / 1e6
    assert abs(need - size) < 0.2 * size and free > 0
    assert "epoch=0000.ckpt is kept" in told
    assert saves == [[], ["epoch=0000.ckpt"], ["epoch=0000.ckpt"]]
    names = ["epoch=0000.ckpt", "epoch=0002.ckpt"]
    assert sorted(path.name for path in folder.glob("*.ckpt")) == names
    assert not list(folder.glob(".*"))
    assert "epoch 3/3" in said


def test_an_epoch_of_which_nothing_can_be_written_is_made_up_for_by_the_next(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys
):
    """Neither its lines of the log nor its checkpoint."""
    out, log, save = tmp_path / "run", EpochLog.on_train_epoch_end, Checkpoints.on_train_epoch_end

    def without_room(write):
        def written(self, trainer, module):
            if trainer.current_epoch != 1:
                return write(self, trainer, module)
            with no_room():
                return write(self, trainer, module)

        return written

    monkeypatch.setattr(EpochLog, "on_train_epoch_end", without_room(log))
    monkeypatch.setattr(Checkpoints, "on_train_epoch_end", without_room(save))
    flags = map(str, train_flags(sam_folder, out, num_epochs=3))
    assert main(["train", str(disc_data), *flags]) == 0
    said = capsys.readouterr().out
    assert f"NOT LOGGED: {out / 'log' / 'metrics.jsonl'}: File too large; make room" in said
    assert said.count("NOT SAVED") == 1
    assert [row["epoch"] for row in RunFolder(out).read_epochs()] == [1, 2, 3]
    assert len((out / "log" / "metrics.csv").read_text().splitlines()) == 4
    assert not list(out.rglob(".*unfinished"))


def test_curves_that_cannot_be_written_are_told_once_and_end_nothing(tmp_path, capsys):
    curves = SparableTensorBoard(tmp_path, name="", version="tensorboard")
    curves.log_metrics({"loss": 1.0}, 0)
    curves.save()
    with no_room():
        for step in range(1, 20):
            curves.log_metrics({"loss": 1.0}, step)
            curves.save()
    curves.finalize("success")
    (told,) = capsys.readouterr().out.splitlines()
    assert told.startswith("NOT LOGGED: ") and "File too large" in told


def test_weights_for_which_there_is_no_room_are_written_by_a_resume(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys
):
    out, save = tmp_path / "run", session.save_folder

    def without_room(sam, folder):
        with no_room():
            save(sam, folder)

    with monkeypatch.context() as patch:
        patch.setattr(session, "save_folder", without_room)
        flags = map(str, train_flags(sam_folder, out, num_epochs=1))
        assert main(["train", str(disc_data), *flags]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"ringsam train: {out / 'adapted'}: cannot be written: ")
    assert f"make room; then `ringsam resume {out}` writes them" in said
    assert main(["resume", str(out)]) == 0
    assert (out / "adapted" / "model.safetensors").exists()


def test_check_and_report_tell_of_a_disk_that_takes_nothing(make_data, tmp_path, capsys):
    data = make_data([an_object(big_box=[40, 10, 10, 30])])
    labels = data / "two_boxes.json"
    before = labels.read_text()
    run = make_run(tmp_path / "run", Config())
    for command in (["check", str(data), "--fix"], ["report", str(run.path)]):
        with no_room():
            assert main(command) == 2
        assert "cannot be written: File too large; see that" in capsys.readouterr().err
    assert labels.read_text() == before
    assert not run.report.exists() and not list(tmp_path.rglob("*.unfinished"))


def test_a_disk_without_room_for_the_run_is_refused_with_both_numbers(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "run"
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 10**6, 10**6))
    flags = list(map(str, train_flags(sam_folder, out, num_epochs=1)))
    assert main(["train", str(disc_data), *flags]) == 2
    said = capsys.readouterr().err
    (need,) = re.findall(r"a run needs about ([\d.]+) MB, 1.0 MB are free there; make room", said)
    assert not out.exists()
    monkeypatch.undo()
    assert main(["train", str(disc_data), *flags]) == 0
    used = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
    assert used < float(need) < 5 * used
    shutil.rmtree(out)

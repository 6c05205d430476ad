"""Row 31: `kill -9` in the middle of a checkpoint loses that one alone: resume takes the newest valid one, and clears away what was half-written."""

import os
import shutil

import pytest
from processes import adapted, same, train_flags

import ringsam.training.run
from ringsam.cli import main
from ringsam.runs import RunFolder

# Ends the process, without a chance to tidy up, in the second checkpoint
DIES = """
import os, signal, sys
from ringsam.training import checkpoint
moments = {"half": (checkpoint.torch, "save"), "unmoved": (checkpoint.os, "replace")}
module, name = moments[sys.argv[1]]
call = getattr(module, name)
def die(first, second):
    path = str(getattr(second, "name", second))
    if "epoch=0001.ckpt" in path and not ".sha256" in path:
        if sys.argv[1] == "half":
            second.write(b"half of it")
            second.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    call(first, second)
setattr(module, name, die)
from ringsam.cli import main
sys.exit(main(sys.argv[2:]))
"""


STEPS = {"num_epochs": 3, "optim__batch_size": 2}


@pytest.fixture(scope="module")
def whole(disc_data, sam_folder, tmp_path_factory, ringsam):
    """A run that nothing ended."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert ringsam("train", disc_data, *train_flags(sam_folder, out, **STEPS)).returncode == 0
    return out


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["half", "unmoved"])
def test_a_run_killed_while_it_saves_resumes_to_the_same_weights(
    disc_data, sam_folder, tmp_path, started, ringsam, whole, moment
):
    broken = tmp_path / "broken"
    folder = broken / "checkpoints"
    flags = train_flags(sam_folder, broken, **STEPS)
    process = started(moment, "train", disc_data, *flags, code=DIES)
    assert process.wait(timeout=240) == -9
    left = {path.name for path in folder.iterdir()}
    assert f".epoch=0001.ckpt.{process.pid}.unfinished" in left
    assert "epoch=0000.ckpt" in left and "epoch=0001.ckpt" not in left
    # Of a checkpoint within an epoch, whose name no later one writes over
    (folder / ".epoch=0001-step=00000005.ckpt.unfinished").write_bytes(b"half of it")
    resumed = ringsam("resume", broken)
    assert resumed.returncode == 0 and "from epoch=0000.ckpt" in resumed.stdout
    names = [f"epoch=000{i}.ckpt{end}" for i in (1, 2) for end in ("", ".sha256")]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert same(adapted(whole), adapted(broken))


@pytest.mark.parametrize("last", ["data.json", "config.yaml"])
def test_a_run_killed_before_its_first_step_is_told_the_mend(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys, last
):
    """It cannot be resumed, and its folder is in the way of the same command."""
    out, replace = tmp_path / "run", os.replace
    arguments = ["train", str(disc_data), *map(str, train_flags(sam_folder, out, num_epochs=1))]

    def killed(source, target):
        if str(target).endswith(last):
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        assert main(arguments) == 130
    assert main(["resume", str(out)]) == 2
    assert "it holds a run that was ended before its first step" in capsys.readouterr().err
    assert main(arguments) == 2
    assert f"if none starts there now, remove it (rm -r {out})" in capsys.readouterr().err
    shutil.rmtree(out)
    assert main(arguments) == 0


def test_a_folder_of_somebody_else_is_not_to_be_removed(disc_data, tmp_path, capsys):
    RunFolder(tmp_path / "run").create()
    (tmp_path / "run" / "thesis.tex").write_text("mine")
    assert main(["train", str(disc_data), "--out", str(tmp_path / "run")]) == 2
    assert "rm -r" not in capsys.readouterr().err


def test_settings_are_whole_although_the_process_dies_as_it_writes_them(
    disc_data, sam_folder, tmp_path, monkeypatch
):
    out = tmp_path / "run"
    flags = map(str, train_flags(sam_folder, out, num_epochs=1))
    assert main(["train", str(disc_data), *flags]) == 0
    before = RunFolder(out).config.read_bytes()

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ringsam.training.run, "lock_run", lambda *_: None)
        patch.setattr(os, "fsync", killed)
        assert main(["resume", str(out), "--precision", "bf16-mixed"]) == 130
    assert RunFolder(out).config.read_bytes() == before

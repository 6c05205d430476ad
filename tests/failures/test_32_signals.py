"""Row 32: SIGINT and SIGTERM write a checkpoint, then exit with 130 and 143 in the time of a step; a second one exits at once."""

import os
import signal
import time

import pytest
from processes import adapted, same, train_flags, wait_for

from ringsam.cli import main
from ringsam.method.adaptation import Adaptation
from ringsam.runs import RunFolder

STEPS = {"num_epochs": 3, "optim__batch_size": 1, "optim__accumulate": 2}


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def signal_in_batch(number: int, *, nth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nth batch of the run sends its own process a signal, as a scheduler or Ctrl-C does."""
    step, batches = Adaptation.step, []

    def interrupted(self, batch, draws):
        batches.append(batch)
        if len(batches) == nth:
            os.kill(os.getpid(), number)
        return step(self, batch, draws)

    monkeypatch.setattr(Adaptation, "step", interrupted)


@pytest.fixture(scope="module")
def whole(disc_data, sam_folder, tmp_path_factory):
    """The run that nothing interrupts: three epochs of six batches, two to a step."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run("train", disc_data, *train_flags(sam_folder, out, **STEPS)) == 0
    return adapted(out)


@pytest.mark.parametrize(
    ("number", "code", "nth", "checkpoint"),
    [
        (signal.SIGTERM, 143, 9, "epoch=0001-step=00000005.ckpt"),  # between the batches of a step
        (signal.SIGINT, 130, 8, "epoch=0001-step=00000004.ckpt"),  # at the end of a step
        (signal.SIGTERM, 143, 6, "epoch=0000.ckpt"),  # in an epoch's last batch
    ],
)
def test_a_signal_ends_the_run_with_a_checkpoint_and_it_goes_on_to_the_same_weights(
    disc_data, sam_folder, tmp_path, capsys, monkeypatch, whole, number, code, nth, checkpoint
):
    before = signal.getsignal(number)
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        signal_in_batch(number, nth=nth, monkeypatch=patch)
        assert run("train", disc_data, *train_flags(sam_folder, out, **STEPS)) == code
    said = capsys.readouterr().err.splitlines()[-1]
    assert (
        said == f"ringsam train: {signal.Signals(number).name}: go on with `ringsam resume {out}`"
    )
    assert sorted(p.name for p in RunFolder(out).checkpoints.glob("*.ckpt"))[-1] == checkpoint
    assert not RunFolder(out).adapted.exists()
    assert signal.getsignal(number) == before
    assert run("resume", out) == 0
    assert f"from {checkpoint}" in capsys.readouterr().out
    assert same(adapted(out), whole)


def test_other_batches_go_on_from_a_whole_epoch_also_when_they_are_interrupted_in_turn(
    disc_data, sam_folder, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        signal_in_batch(signal.SIGTERM, nth=8, monkeypatch=patch)
        assert run("train", disc_data, *train_flags(sam_folder, out, **STEPS)) == 143
    config = RunFolder(out).config
    text = config.read_text().replace("batch_size: 1\n", "batch_size: 2\n")
    config.write_text(text.replace("accumulate: 2\n", "accumulate: 1\n"))
    with monkeypatch.context() as patch:
        patch.setattr(Adaptation, "step", interrupted_at_once)
        assert run("resume", out) == 130
    for _ in range(2):
        said = capsys.readouterr().out
        assert "epoch=0001-step=00000004.ckpt: lies within an epoch" in said
        assert "from epoch=0000.ckpt" in said
        assert run("resume", out) == 0


def interrupted_at_once(self, batch, draws):
    raise KeyboardInterrupt


@pytest.mark.slow
def test_processes_that_read_images_begin_where_the_run_stopped(
    disc_data, sam_folder, tmp_path, monkeypatch, whole
):
    out = tmp_path / "run"
    flags = train_flags(sam_folder, out, **STEPS, data__num_workers=1)
    with monkeypatch.context() as patch:
        signal_in_batch(signal.SIGTERM, nth=8, monkeypatch=patch)
        assert run("train", disc_data, *flags) == 143
    assert run("resume", out) == 0
    assert same(adapted(out), whole)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_code_reaches_the_shell_within_half_a_minute(
    disc_data, sam_folder, tmp_path, started, number, code
):
    out = tmp_path / "run"
    process = started("train", disc_data, *train_flags(sam_folder, out, num_epochs=1000))
    wait_for((out / "checkpoints" / "epoch=0000.ckpt").exists)
    told = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - told < 30  # what a scheduler grants before it kills
    assert process.returncode == code, output
    assert "Traceback" not in output and "go on with `ringsam resume" in output


@pytest.mark.slow
def test_a_second_signal_ends_the_process_although_the_step_hangs(
    disc_data, sam_folder, tmp_path, started
):
    out = tmp_path / "run"
    hanging = "import ringsam.method.adaptation as a, time, sys; from pathlib import Path\n"
    hanging += "a.Adaptation.step = lambda *_: (Path(sys.argv[-1]).touch(), time.sleep(1), time.sleep(100))\n"
    hanging += "from ringsam.cli import main; sys.exit(main(sys.argv[1:-1]))"
    flags = train_flags(sam_folder, out, num_epochs=1)
    process = started("train", disc_data, *flags, tmp_path / "hangs", code=hanging)
    wait_for((tmp_path / "hangs").exists)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 143

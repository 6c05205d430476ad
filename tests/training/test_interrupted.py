"""`kill -9` in the middle of an epoch, and two ranks instead of one: the weights are the same."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.two_ranks import ENVIRONMENT, launch
from ringsam.runs import RunFolder
from ringsam.training.checkpoint import read_checkpoint

pytestmark = pytest.mark.slow

COUNTS = ("num_steps", "num_steps_without_signal", "num_objects", "num_trusted")
COUNTS += ("num_anchors", "num_missed", "num_spurious", "num_background")


def command(name: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "ringsam", name, *map(str, arguments)]


def train_command(
    data: Path, out: Path, sam: Path, *extra: object, num_epochs: int = 4
) -> list[str]:
    flags = ["--weights", sam, "--epochs", num_epochs, "--method.entropy_thresh", 0.7]
    flags += [] if "--recipe" in extra else ["--recipe", "seed"]
    flags += ["--optim.lr_encoder", 1e-3, "--hardware.accelerator", "cpu"]
    return command("train", data, "--out", out, *flags, *extra)


def run(arguments: list[str]) -> str:
    done = subprocess.run(
        arguments, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def adapted(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(RunFolder(folder).adapted / "model.safetensors")


def kill_in_an_epoch(arguments: list[str], folder: Path) -> None:
    """Kill the process, without a chance to tidy up, in the middle of an epoch after the second."""
    run_folder = RunFolder(folder)
    process = subprocess.Popen(arguments, env=ENVIRONMENT, stdout=subprocess.DEVNULL)
    waited = time.monotonic() + 240
    while not (run_folder.checkpoints / "epoch=0001.ckpt").exists():
        assert process.poll() is None and time.monotonic() < waited
        time.sleep(0.002)
    time.sleep(run_folder.read_epochs()[-1]["seconds"] / 2)
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("recipe", ["seed", "best"])
def test_a_killed_run_resumes_to_the_same_weights(disc_data, sam_folder, tmp_path, recipe):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    flags = ("--recipe", recipe, "--optim.batch_size", 1)
    flags += ("--data.held_out", 0) if recipe == "best" else ()  # else it would stop early
    commands = [
        train_command(disc_data, out, sam_folder, *flags, num_epochs=6) for out in (whole, broken)
    ]
    run(commands[0])
    kill_in_an_epoch(commands[1], broken)
    assert not RunFolder(broken).adapted.exists()
    assert 2 <= len(RunFolder(broken).read_epochs()) < 6
    printed = run(command("resume", broken))
    assert "from epoch=" in printed
    assert "epoch 6/6" in printed and "epoch 1/6" not in printed  # it did not start again
    expected, resumed = adapted(whole), adapted(broken)
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
    figures = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in RunFolder(f).read_epochs()]
        for f in (whole, broken)
    ]
    assert figures[0] == figures[1]


def mean_gradients(folder: Path) -> list[torch.Tensor]:
    """Adam's running means of the gradients, parameter by parameter, at the last epoch's end."""
    newest = sorted(RunFolder(folder).checkpoints.glob("*.ckpt"))[-1]
    states = read_checkpoint(newest)["optimizer_states"][0]["state"]
    return [state["exp_avg"] for state in states.values()]


@pytest.mark.parametrize("recipe", ["seed", "best"])
def test_two_ranks_equal_one_with_the_same_global_batch(disc_data, sam_folder, tmp_path, recipe):
    """At the seed's own rates: a larger one would show Adam's scaling of rounding noise where a gradient is zero."""
    rate = ("--optim.lr_encoder", "2e-6", "--recipe", recipe, "--data.held_out", 0)
    run(train_command(disc_data, tmp_path / "one", sam_folder, "--optim.batch_size", 6, *rate))
    two = train_command(disc_data, tmp_path / "two", sam_folder, "--optim.batch_size", 3, *rate)
    launch([*two, "--hardware.devices", "2"], 2, timeout_s=180)
    one, both = adapted(tmp_path / "one"), adapted(tmp_path / "two")
    for name in one:
        torch.testing.assert_close(both[name], one[name], rtol=1e-5, atol=1e-5)
    gradients = [mean_gradients(tmp_path / name) for name in ("one", "two")]
    for alone, shared in zip(*gradients, strict=True):
        assert (shared - alone).abs().max() <= 1e-3 * alone.abs().max() + 1e-7
    assert any(gradient.abs().max() > 1e-4 for gradient in gradients[0])
    epochs = [RunFolder(tmp_path / name).read_epochs() for name in ("one", "two")]
    for alone, shared in zip(*epochs, strict=True):
        # the head's rate is 1e-3: from its second step on, scaled-up rounding shows in the fifth digit
        tolerance = 1e-5 if alone["epoch"] == 1 else 3e-4
        for figure in ("contrast", "distill") if recipe == "seed" else ("self_training", "distill"):
            assert shared[figure] == pytest.approx(alone[figure], rel=tolerance, abs=1e-9)
        for count in (count for count in COUNTS if recipe == "seed" or count in alone):
            assert shared[count] == alone[count], count

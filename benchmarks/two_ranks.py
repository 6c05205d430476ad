"""P16: a run of two ranks against a run of one, with the same images to a step: losses and weights."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from safetensors.torch import load_file

import ringsam
from benchmarks.figures import Figure, Options
from benchmarks.models import tiny_sam
from ringsam.runs import RunFolder
from ringsam.sam.model import Sam
from ringsam.sam.weights import save_folder

SAMPLE = Path(ringsam.__file__).parent / "assets" / "sample" / "train"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
_GLOBAL_BATCH, _EPOCHS = 8, 2
_TRAINING_TERM = {"seed": "contrast", "best": "self_training"}


def two_ranks(options: Options) -> Iterator[Figure]:
    """A tiny SAM on the bundled sample, with the seed's recipe and the default one, at the seed's own rates."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        save_folder(Sam(tiny_sam()), folder / "sam")
        for recipe, term in _TRAINING_TERM.items():
            one, both = (_train(folder, recipe, num_ranks) for num_ranks in (1, 2))
            expected, found = (load_file(run.adapted / "model.safetensors") for run in (one, both))
            errors = [float((found[name] - expected[name]).abs().max()) for name in expected]
            what = f"two ranks - one rank, recipe {recipe}"
            yield Figure("P16", f"{what}: weights", max(errors), "", at_most=1e-5)
            first, other = (run.read_epochs()[0][term] for run in (one, both))
            error = abs(other / first - 1)
            yield Figure("P16", f"{what}: {term} of an epoch, relative", error, "", at_most=1e-5)


def _train(folder: Path, recipe: str, num_ranks: int) -> RunFolder:
    out = folder / f"{recipe}-{num_ranks}"
    arguments = [sys.executable, "-m", "ringsam", "train", SAMPLE, "--out", out, "--recipe", recipe]
    arguments += ["--weights", folder / "sam", "--epochs", _EPOCHS, "--data.held_out", 0]
    arguments += ["--optim.batch_size", _GLOBAL_BATCH // num_ranks, "--optim.lr_encoder", 2e-6]
    arguments += ["--method.entropy_thresh", 0.7, "--hardware.accelerator", "cpu"]
    arguments += ["--hardware.devices", num_ranks]
    launch(list(map(str, arguments)), num_ranks)
    return RunFolder(out)


def launch(arguments: Sequence[str], num_ranks: int, *, timeout_s: float = 600) -> None:
    """What a launcher does: one process a rank, the same command, ranks told by the environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(num_ranks)}
    shared["TORCHELASTIC_RUN_ID"] = "test"  # how torchrun makes itself known
    processes = [
        subprocess.Popen(
            arguments,
            env={**ENVIRONMENT, **shared, "RANK": str(r), "LOCAL_RANK": str(r)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for r in range(num_ranks)
    ]
    try:
        for process in processes:
            output, _ = process.communicate(timeout=timeout_s)  # the watchdog: a hang fails
            assert process.returncode == 0, output
    finally:
        for process in processes:
            process.kill()

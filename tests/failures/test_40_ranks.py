"""Row 40: a port in use, a wrong address, a missing rank, another version: every rank ends within its time with a sentence that names who and where."""

import signal
import socket
import time

import pytest
from failures.conftest import free_port, launcher
from processes import train_flags, wait_for

from ringsam.cli import main

pytestmark = pytest.mark.slow


def flags(sam, out, **others):
    shared = {"num_epochs": 1, "optim__batch_size": 3, "hardware__devices": 2}
    return train_flags(sam, out, **(shared | {"hardware__rank_timeout_s": 8} | others))


def alone(monkeypatch, *, rank=0, **others) -> None:
    """One of two ranks, in this process; the other never comes."""
    told = launcher(free_port()) | {"RANK": str(rank), "LOCAL_RANK": str(rank)} | others
    for name, value in told.items():
        monkeypatch.setenv(name, value)


def test_a_missing_rank_is_told_after_the_timeout(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys
):
    alone(monkeypatch)
    began = time.monotonic()
    assert main(["train", str(disc_data), *map(str, flags(sam_folder, tmp_path / "run"))]) == 2
    assert time.monotonic() - began < 60
    said = capsys.readouterr().err.splitlines()[-1]
    assert "rank 0 of 2 waited" in said and "for the others at 127.0.0.1:" in said
    assert "start as many processes as --hardware.devices and --hardware.num_nodes say" in said


def test_a_wrong_address_is_told_after_the_timeout(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys
):
    alone(monkeypatch, rank=1, MASTER_ADDR="nowhere.invalid")
    began = time.monotonic()
    assert main(["train", str(disc_data), *map(str, flags(sam_folder, tmp_path / "run"))]) == 2
    assert time.monotonic() - began < 60
    said = capsys.readouterr().err.splitlines()[-1]
    assert "rank 1 of 2 waited" in said and "at nowhere.invalid:" in said


def test_a_port_in_use_is_told(disc_data, sam_folder, tmp_path, monkeypatch, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        alone(monkeypatch, MASTER_PORT=str(other.getsockname()[1]))
        assert main(["train", str(disc_data), *map(str, flags(sam_folder, tmp_path / "run"))]) == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert f"127.0.0.1:{other.getsockname()[1]}" in said
        assert "in use" in said and "with a free port" in said


OTHER_VERSION = """
import os, sys
from importlib import metadata
version = metadata.version
if os.environ["RANK"] == "1":
    metadata.version = lambda name: "0.0.1" if name == "ringsam" else version(name)
from ringsam.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_another_version_on_one_rank_ends_both_before_a_step(
    disc_data, sam_folder, tmp_path, two_ranks, capsys
):
    late = {"hardware__rank_timeout_s": 100}
    arguments = flags(sam_folder, tmp_path / "run", **late)
    assert two_ranks("train", disc_data, *arguments, code=OTHER_VERSION) == [2, 2]
    said = capsys.readouterr().out
    assert said.count("1 rank(s) differ from the first; install the same versions") == 2
    assert said.count("rank 1: ringsam 0.0.1, torch ") == 2
    assert "epoch 1/1" not in said


def test_a_rank_that_is_lost_ends_the_other_with_exit_code_3(
    disc_data, sam_folder, tmp_path, started
):
    out, shared = tmp_path / "run", launcher(free_port())
    late = {"hardware__rank_timeout_s": 100, "num_epochs": 500}
    ranks = [
        started(
            *("train", disc_data, *flags(sam_folder, out, **late)),
            **shared,
            RANK=str(rank),
            LOCAL_RANK=str(rank),
        )
        for rank in range(2)
    ]
    wait_for((out / "checkpoints" / "epoch=0000.ckpt").exists, seconds=240)
    ranks[1].send_signal(signal.SIGKILL)
    said, _ = ranks[0].communicate(timeout=60)
    assert ranks[0].returncode == 3, said
    assert "rank 0 of 2: another rank was lost" in said
    assert f"go on with `ringsam resume {out}`" in said
    assert "Traceback" not in said

"""Two ranks over gloo, of which one is killed, or meets a NaN."""

import hashlib
import random
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.faults.commands import Ended, Running, sound
from benchmarks.faults.killed_training import NUM_EPOCHS, kept
from benchmarks.faults.subject import Left, Outcome, Subject
from ringsam.method.adaptation import Adaptation
from ringsam.runs import RunFolder
from ringsam.training.keeping import Checkpoints

TIMEOUT_S = 60


@dataclass
class Pair:
    """Runs of one recipe on two ranks, and how the uninterrupted one ended."""

    subject: Subject
    recipe: str
    folder: Path

    def __post_init__(self) -> None:
        out = self.folder / "whole"
        began = time.monotonic()
        for ended in ends(start(self.command(out))):
            sound(ended)
        self.seconds = time.monotonic() - began
        self.whole = Left.of(out)

    def command(self, out: Path, *more: object) -> list[object]:
        two = ("--hardware.devices", 2, "--hardware.rank_timeout_s", TIMEOUT_S)
        one = ("--optim.batch_size", 1, "--hardware.cache_gb", 0)
        return self.subject.train(out, self.recipe, *one, *two, *more, num_epochs=NUM_EPOCHS)


def start(arguments: list[object], spoils: dict[int, Any] | None = None) -> list[Running]:
    """Both ranks, as a launcher does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    shared["TORCHELASTIC_RUN_ID"] = "faults"
    return [
        Running(
            arguments,
            spoil=(spoils or {}).get(rank),
            environment=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]


def ends(ranks: list[Running]) -> list[Ended]:
    return [rank.end() for rank in ranks]


def lost_ranks(pair: Pair, number: int, dice: random.Random) -> Iterator[Outcome]:
    """One or the other is killed at some time after the first step; the other ends in words, and both go on."""
    for i in range(number):
        out = pair.folder / f"lost{i}"
        ranks = start(pair.command(out))
        ranks[0].wait_for((out / "checkpoints" / "epoch=0000.ckpt").exists)
        time.sleep(dice.uniform(0, pair.seconds / 4))
        if any(rank.has_ended for rank in ranks):
            yield Outcome(False, False, note="it ended before the kill")
            continue
        yield _one_lost(pair, out, ranks[i % 2], ranks[1 - i % 2])


def _one_lost(pair: Pair, out: Path, victim: Running, other: Running) -> Outcome:
    victim.kill()
    began = time.monotonic()
    ended = other.end(within_s=2 * TIMEOUT_S)
    waited = time.monotonic() - began
    newest, lost = kept(RunFolder(out))
    told = "another rank was lost" in ended.said and f"ringsam resume {out}" in ended.said
    if ended.code != 3 or not told or "Traceback" in ended.said or waited > TIMEOUT_S + 10:
        return Outcome(False, False, lost, note=f"{ended.code} after {waited:.0f} s: {ended.said}")
    resumed = ends(start(["resume", out]))
    if any(rank.code for rank in resumed) or f"from {newest}" not in resumed[0].said:
        return Outcome(False, False, lost, note="".join(rank.said for rank in resumed))
    same = Left.of(out).same_as(pair.whole)
    left_over = len(list(out.rglob(".*unfinished*")))
    outcome = Outcome(True, same, lost, left_over, f"the other ended after {waited:.0f} s")
    if outcome.sound:
        shutil.rmtree(out)
    return outcome


def nan_on_one_rank(pair: Pair, number: int, dice: random.Random) -> Iterator[Outcome]:
    """The step is left out on both: they stay equal to the last bit, epoch by epoch, and the log counts one step."""
    for i in range(number):
        out = pair.folder / f"nan{i}"
        spoils = {
            rank: partial(
                note_weights, pair.folder, f"nan{i}-{rank}", dice.randrange(8) + 1, rank == i % 2
            )
            for rank in range(2)
        }
        ranks = ends(start(pair.command(out), spoils))
        if any(rank.code for rank in ranks):
            yield Outcome(False, False, note="".join(rank.said for rank in ranks))
            continue
        counts = [row["num_steps_not_finite"] for row in RunFolder(out).read_epochs()]
        notes = [(pair.folder / f"nan{i}-{rank}").read_text().split() for rank in range(2)]
        equal = notes[0] == notes[1] and len(set(notes[0])) == NUM_EPOCHS
        yield Outcome(sum(counts) == 1, equal, note=f"left out {counts}")


def note_weights(folder: Path, name: str, nth: int, poisoned: bool) -> None:
    """In this process: the nth batch is no number, if it is the poisoned one; the weights' digest after each epoch goes to a file."""
    step, end = Adaptation.step, Checkpoints.on_train_epoch_end
    batches: list[None] = []

    def counted(self: Any, batch: Any, draws: Any) -> Any:
        batches.append(None)
        if poisoned and len(batches) == nth:
            batch.images.fill_(torch.nan)
        return step(self, batch, draws)

    def noting(self: Any, trainer: Any, pl_module: Any) -> None:
        end(self, trainer, pl_module)
        digest = hashlib.sha256()
        for value in pl_module.adaptation.state_dict().values():
            digest.update(value.detach().cpu().numpy().tobytes())
        with (folder / name).open("a") as file:
            file.write(digest.hexdigest() + "\n")

    Adaptation.step, Checkpoints.on_train_epoch_end = counted, noting  # type: ignore[method-assign]

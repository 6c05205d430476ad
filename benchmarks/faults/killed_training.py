"""`kill -9` of a run that trains, or saves, or has not yet begun; and the run that goes on."""

import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from safetensors.torch import load_file

from benchmarks.faults.commands import Running, killed_after, run, sound
from benchmarks.faults.dying import SAVING, STARTING, die_at
from benchmarks.faults.subject import Left, Outcome, Subject
from ringsam.errors import InputError
from ringsam.runs import RunFolder
from ringsam.training.checkpoint import checkpoints_in, read_checkpoint
from ringsam.training.keeping import KEPT

NUM_EPOCHS = 6


@dataclass
class Victim:
    """Runs of one recipe, and how the uninterrupted one ended."""

    subject: Subject
    recipe: str
    folder: Path

    def __post_init__(self) -> None:
        out = self.folder / "whole"
        process = Running(self.command(out))
        process.wait_for(out.exists)
        began = time.monotonic()
        sound(process.end())
        self.seconds = time.monotonic() - began
        self.whole = Left.of(out)
        original = load_file(RunFolder(out).original / "model.safetensors")
        if self.whole.has_weights(original):
            raise RuntimeError(f"{out}: learned nothing, so that a comparison would prove nothing")
        self.num_saves = len(self.whole.figures)

    def command(self, out: Path) -> list[object]:
        one = ("--optim.batch_size", 1)
        return self.subject.train(out, self.recipe, *one, num_epochs=NUM_EPOCHS)


def kills_in_training(victim: Victim, number: int, dice: random.Random) -> Iterator[Outcome]:
    """At moments spread over the whole run, from its folder's first appearance to its end."""
    for i in range(number):
        out = victim.folder / f"training{i}"
        while not killed_after(
            victim.command(out), dice.uniform(0, victim.seconds), begun=out.exists
        ):
            shutil.rmtree(out)  # it had ended before: the machine has more time for it now
            victim.seconds *= 0.8
        yield after_kill(victim, out)


def kills_in_saving(victim: Victim, number: int, dice: random.Random) -> Iterator[Outcome]:
    """In a checkpoint drawn by chance, at the moments of its writing in turn."""
    for i in range(number):
        out, moment = victim.folder / f"saving{i}", SAVING[i % len(SAVING)]
        share = 1.0 if moment != SAVING[0] else dice.random()
        fault = partial(die_at, moment, dice.randrange(victim.num_saves), share)
        ended = run(victim.command(out), spoil=fault)
        yield (
            after_kill(victim, out) if ended.code == -9 else Outcome(False, False, note=ended.said)
        )


def kills_before_the_settings(victim: Victim, number: int) -> Iterator[Outcome]:
    """The folder is no run yet: the command given again names the mend, and after it trains as if nothing had been."""
    for i in range(number):
        out = victim.folder / f"starting{i}"
        run(victim.command(out), spoil=partial(die_at, STARTING[i % len(STARTING)]))
        if RunFolder(out).is_run():
            yield Outcome(False, False, note="it was not killed")
            continue
        yield started_again(victim, out)


def after_kill(victim: Victim, out: Path) -> Outcome:
    """Resume to the end and compare."""
    if not RunFolder(out).is_run():
        return started_again(victim, out)
    newest, lost = kept(RunFolder(out))
    ended = run(["resume", out])
    if ended.code:
        return Outcome(False, False, lost, note=ended.said)
    where = f"from {newest}" if newest else "from the start"
    lost += f"resuming {out} {where}" not in ended.said
    return _compared(victim, out, lost, ended.said)


def started_again(victim: Victim, out: Path) -> Outcome:
    """As a person does who reads what is said."""
    refused = run(victim.command(out))
    if refused.code != 2 or f"remove it (rm -r {out})" not in refused.said:
        return Outcome(False, False, note=refused.said)
    shutil.rmtree(out)
    ended = run(victim.command(out))
    if ended.code:
        return Outcome(False, False, note=ended.said)
    return _compared(victim, out, 0, "", note="before its settings")


def kept(folder: RunFolder) -> tuple[str, int]:
    """The newest whole checkpoint's name, and how many are missing or damaged of those that were finished.

    The log has a line for each epoch before its checkpoint is begun, so that one may be in the making.
    """
    finished = len(folder.read_epochs()) - 1
    there = checkpoints_in(folder.checkpoints)
    whole = [path.name for path in there if _is_whole(path)]
    missing = max(0, min(KEPT, finished) - len(there))
    if finished > 0 and folder.checkpoints / f"epoch={finished - 1:04d}.ckpt" not in there:
        missing = max(missing, 1)
    return whole[-1] if whole else "", len(there) - len(whole) + missing


def _is_whole(path: Path) -> bool:
    try:
        read_checkpoint(path)
    except InputError:
        return False
    return True


def _compared(victim: Victim, out: Path, lost: int, said: str, *, note: str = "") -> Outcome:
    left = len(list(out.rglob(".*unfinished*")))
    digests = set(out.rglob("*.ckpt.sha256"))
    left += len(digests - {path.with_name(f"{path.name}.sha256") for path in out.rglob("*.ckpt")})
    outcome = Outcome(True, Left.of(out).same_as(victim.whole), lost, left, note or said)
    if outcome.sound:
        shutil.rmtree(out)
    return outcome

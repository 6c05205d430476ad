"""The benchmark of faults, a few of each: nothing is lost, and it would tell if something were."""

import random

import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks.faults import full_disk
from benchmarks.faults.full_disk import full_disks
from benchmarks.faults.killed_prediction import Prediction, kills_in_prediction
from benchmarks.faults.killed_training import (
    Victim,
    kept,
    kills_before_the_settings,
    kills_in_saving,
    kills_in_training,
)
from benchmarks.faults.lost_ranks import Pair, lost_ranks, nan_on_one_rank
from benchmarks.faults.subject import Left, Outcome, Subject
from ringsam.runs import RunFolder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def subject(tmp_path_factory) -> Subject:
    return Subject.drawn(tmp_path_factory.mktemp("subject"), num_images=6)


@pytest.fixture(scope="module")
def victim(subject, tmp_path_factory) -> Victim:
    return Victim(subject, "seed", tmp_path_factory.mktemp("victim"))


def all_sound(outcomes) -> bool:
    found: list[Outcome] = list(outcomes)
    print(*found, sep="\n")
    return bool(found) and all(outcome.sound for outcome in found)


def test_killed_runs_go_on_to_the_same_weights(victim):
    dice = random.Random(1)
    assert all_sound(kills_in_training(victim, 1, dice))
    assert all_sound(kills_in_saving(victim, 1, dice))
    assert all_sound(kills_before_the_settings(victim, 1))


def test_a_killed_prediction_is_whole_in_the_end(subject, tmp_path):
    assert all_sound(kills_in_prediction(Prediction(subject, tmp_path), 1, random.Random(1)))


def test_a_full_disk_stops_nothing_for_good(victim):
    assert all_sound(full_disks(victim, 3, random.Random(1)))


def test_a_disk_of_ones_own_is_not_needed(victim, monkeypatch):
    monkeypatch.setattr(full_disk.subprocess, "run", lambda *_, **__: Refused)
    assert all_sound(full_disks(victim, 2, random.Random(2)))


class Refused:
    returncode = 1


def test_ranks_that_lose_one_or_meet_a_nan_stay_together(subject, tmp_path):
    pair = Pair(subject, "seed", tmp_path)
    assert all_sound(lost_ranks(pair, 1, random.Random(1)))
    assert all_sound(nan_on_one_rank(pair, 1, random.Random(1)))


def test_what_is_lost_or_differs_is_seen(victim):
    out = victim.folder / "whole"
    folder, whole = RunFolder(out), Left.of(out)
    assert kept(folder) == ("epoch=0005.ckpt", 0)
    newest = folder.checkpoints / "epoch=0005.ckpt"
    content = newest.read_bytes()
    newest.write_bytes(content[:-1])
    assert kept(folder) == ("epoch=0004.ckpt", 1)
    newest.write_bytes(content)
    (folder.checkpoints / "epoch=0004.ckpt").unlink()
    assert kept(folder) == ("epoch=0005.ckpt", 1)
    assert Left.of(out).same_as(whole)
    weights = folder.adapted / "model.safetensors"
    changed = load_file(weights)
    first = next(iter(changed))
    changed[first] = torch.nextafter(changed[first], torch.tensor(1e9))
    save_file(changed, weights)
    assert not Left.of(out).same_as(whole)

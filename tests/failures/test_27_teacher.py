"""Row 27: the teacher never trains, which every epoch asserts; it is in every checkpoint, and a resumed run's is the uninterrupted one's to the last bit."""

import os
import signal

import pytest
import torch
from processes import train_flags

from ringsam.cli import main
from ringsam.method.adaptation import Adaptation
from ringsam.method.teacher import EmaTeacher
from ringsam.training.checkpoint import checkpoints_in, read_checkpoint

STEPS = {"num_epochs": 3, "optim__batch_size": 2, "method__ema_decay": 0.9}


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def teacher_of(out) -> dict[str, torch.Tensor]:
    return read_checkpoint(checkpoints_in(out / "checkpoints")[-1])["teacher"]


def test_a_resumed_runs_teacher_is_the_uninterrupted_ones(
    disc_data, sam_folder, tmp_path, monkeypatch
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert run("train", disc_data, *train_flags(sam_folder, whole, **STEPS)) == 0
    step, batches = Adaptation.step, []

    def interrupted(self, batch, draws):
        batches.append(batch)
        if len(batches) == 5:  # in the second epoch
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, draws)

    with monkeypatch.context() as patch:
        patch.setattr(Adaptation, "step", interrupted)
        assert run("train", disc_data, *train_flags(sam_folder, broken, **STEPS)) == 143
    half_way = teacher_of(broken)
    assert run("resume", broken) == 0
    expected, found = teacher_of(whole), teacher_of(broken)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert any(not torch.equal(half_way[name], found[name]) for name in found)


@pytest.mark.parametrize("drift", ["train", "gradients"])
def test_an_epoch_does_not_begin_with_a_teacher_that_trains(
    disc_data, sam_folder, tmp_path, monkeypatch, drift
):
    update = EmaTeacher.update

    def drifting(self, student):
        update(self, student)
        if drift == "train":
            self.tower.head.training = True
        else:
            self.tower.requires_grad_(True)

    monkeypatch.setattr(EmaTeacher, "update", drifting)
    with pytest.raises(AssertionError):
        run("train", disc_data, *train_flags(sam_folder, tmp_path / "run", **STEPS))

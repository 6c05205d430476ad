"""Row 28: a loss or gradient that is not finite is left out on all ranks; three in a row go back to the last good weights at half the rate, three more exit with 3 and a capture that replays."""

import math

import pytest
import torch
from processes import train_flags

from ringsam.cli import main
from ringsam.method.adaptation import Adaptation
from ringsam.runs import RunFolder
from ringsam.training.module import AdaptationModule
from ringsam.training.optim import cosine
from ringsam.training.replay import replay

# Six steps an epoch; the poison comes behind the images' digests, by which features are kept
STEPS = {"num_epochs": 2, "optim__batch_size": 1, "hardware__cache_gb": 0}


def train(data, sam, out) -> int:
    return main(["train", str(data), *map(str, train_flags(sam, out, **STEPS))])


def poison(monkeypatch: pytest.MonkeyPatch, batches, *, what: str = "loss") -> list[list]:
    """Gives these batches of the run an image, or a gradient, that is no number; notes weights and rate after each."""
    step, finish, seen, states = Adaptation.step, AdaptationModule.optimizer_step, [], []

    def poisoned(self, batch, draws):
        seen.append(batch)
        if len(seen) in batches and what == "loss":
            batch.images.fill_(torch.nan)
        output = step(self, batch, draws)
        if len(seen) in batches and what == "gradient":
            output.loss.register_hook(lambda gradient: gradient * torch.inf)
        return output

    def noting(self, epoch, batch_idx, optimizer, closure=None):
        finish(self, epoch, batch_idx, optimizer, closure)
        parts = self.adaptation.trained_parts()
        weights = [p.detach().clone() for part in parts for p in part.values()]
        states.append([weights, [group["lr"] for group in optimizer.param_groups]])

    monkeypatch.setattr(Adaptation, "step", poisoned)
    monkeypatch.setattr(AdaptationModule, "optimizer_step", noting)
    return states


def equal(one, other) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one[0], other[0], strict=True))


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_step_that_is_not_finite_moves_nothing_and_the_run_goes_on(
    disc_data, sam_folder, tmp_path, monkeypatch, what
):
    states = poison(monkeypatch, {3}, what=what)
    assert train(disc_data, sam_folder, tmp_path / "run") == 0
    assert equal(states[1], states[2]) and not equal(states[2], states[3])
    counts = [row["num_steps_not_finite"] for row in RunFolder(tmp_path / "run").read_epochs()]
    assert counts == [1, 0]


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_three_in_a_row_go_back_to_the_start_of_the_epoch_at_half_the_rate(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys, what
):
    states = poison(monkeypatch, {8, 9, 10}, what=what)
    assert train(disc_data, sam_folder, tmp_path / "run") == 0
    assert "3 steps in a row had a loss or gradient that is not finite" in capsys.readouterr().out
    expected = [1e-3 * cosine(step, 12) * (0.5 if step >= 10 else 1) for step in range(12)]
    assert [rates[0] for _, rates in states] == pytest.approx(expected)
    start, before, after = states[5], states[9], states[10]
    one_step = 1.1 * max(after[1])  # Adam's first from there moves no weight further than its rate
    assert distance(before, start) > 5 * one_step
    assert distance(after, start) < one_step


def test_a_teacher_that_is_kept_goes_back_with_the_student(
    disc_data, sam_folder, tmp_path, monkeypatch
):
    poison(monkeypatch, {8, 9, 10})
    teachers, finish = [], AdaptationModule.optimizer_step

    def noting_the_teacher(self, epoch, batch_idx, optimizer, closure=None):
        teachers.append({n: w.clone() for n, w in self.adaptation.kept_encoder().items()})
        finish(self, epoch, batch_idx, optimizer, closure)

    monkeypatch.setattr(AdaptationModule, "optimizer_step", noting_the_teacher)
    kept = {"method__kept": "teacher", "method__ema_decay": 0.9}
    flags = train_flags(sam_folder, tmp_path / "run", **STEPS, **kept)
    assert main(["train", str(disc_data), *map(str, flags)]) == 0
    start, moved, after = teachers[6], teachers[7], teachers[10]  # before steps 7, 8 and 11
    assert all(torch.equal(after[name], start[name]) for name in start)
    assert not all(torch.equal(moved[name], start[name]) for name in start)


def distance(one, other) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one[0], other[0], strict=True))


def test_three_more_exit_with_3_and_leave_a_capture_that_replays(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        poison(patch, {7, 8, 9, 10, 11, 12})
        assert train(disc_data, sam_folder, out) == 3
    said = capsys.readouterr().err
    assert said.startswith(f"ringsam train: {out}: 3 steps in a row again")
    assert "not_finite_rank0.pt" in said and "lower --optim.lr_encoder" in said
    assert (out / "checkpoints" / "epoch=0000.ckpt").exists()  # nothing of before is lost
    losses = replay(out / "not_finite_rank0.pt")
    assert math.isnan(losses["distill"])
    content = torch.load(out / "not_finite_rank0.pt", weights_only=True)
    content["batch"]["images"] = torch.zeros_like(content["batch"]["images"])
    torch.save(content, out / "mended.pt")
    assert all(math.isfinite(loss) for loss in replay(out / "mended.pt").values())

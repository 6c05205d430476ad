"""What a run prints while it goes on: a line an epoch, and a word where signal is missing."""

from pathlib import Path

import pytest
import torch

from ringsam.config import Config
from ringsam.evaluation.curves import ledger_table
from ringsam.runs import RunFolder
from ringsam.training import selection
from ringsam.training.run import resume, train


def settings(sam: Path, *, epochs: int = 3, **changes) -> Config:
    optim = {"lr_encoder": 1e-3, "batch_size": 2}
    return Config(weights=str(sam), epochs=epochs, optim=optim, **changes)


def advice_in(capsys) -> list[str]:
    return lines_in(capsys, "advice: ")


def lines_in(capsys, start: str) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith(start)]


def test_each_epoch_is_a_line_with_its_quality_and_its_ledger(
    disc_data, sam_folder, tmp_path, capsys
):
    config = settings(sam_folder, epochs=2, data={"held_out": 0.3})
    run = train(disc_data, tmp_path / "run", config)
    lines = lines_in(capsys, "epoch ")
    for line, row in zip(lines, RunFolder(run).read_epochs(), strict=True):
        quality = f"mask-free quality {row['mask_free_quality']:.3f}"
        assert line.startswith(f"epoch {row['epoch']}/2  {quality}  contrast ")
        assert f"trusted {row['num_trusted']}/12  anchors {row['num_anchors']}  " in line


def test_a_run_without_the_seeds_contrast_tells_nothing_of_it(
    disc_data, sam_folder, tmp_path, capsys
):
    method = {"alpha": 0.0, "prompts": "box", "self_training": 1.0}
    run = train(disc_data, tmp_path / "run", settings(sam_folder, epochs=1, method=method))
    (line,) = lines_in(capsys, "epoch ")
    assert "self_training" in line and "objects 18  steps" in line
    assert "contrast" not in line and "trusted" not in line
    titles, (row,) = ledger_table(RunFolder(run).read_epochs())
    assert titles == ["epoch", "objects", "entropy (nats)", "silent steps", "steps", "seconds"]
    assert row[:2] == ["1", "18"]


def test_missing_signal_is_told_once_a_kind_and_not_again_by_a_resumed_run(
    disc_data, sam_folder, tmp_path, capsys
):
    run = train(disc_data, tmp_path / "run", settings(sam_folder, method={"entropy_thresh": 0.0}))
    trusted, anchors, negatives, silent = advice_in(capsys)
    assert trusted.startswith("advice: 0% of the objects were trusted in epoch 1 (mean entropy 0.")
    assert "Raise method.entropy_thresh" in trusted
    assert "No epoch had an anchor" in anchors and "method.prompts box+core" in anchors
    assert "No epoch had negatives of any kind" in negatives
    assert "3 of 3 steps (100%) had nothing to learn from" in silent
    sorted(RunFolder(run).checkpoints.glob("*.ckpt"))[-1].unlink()
    resume(run)
    assert advice_in(capsys) == []


def test_a_run_with_signal_is_given_no_advice(disc_data, sam_folder, tmp_path, capsys):
    train(disc_data, tmp_path / "run", settings(sam_folder, method={"entropy_thresh": 0.7}))
    assert advice_in(capsys) == []


def test_a_quality_that_falls_is_told_with_both_numbers(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys
):
    verdicts = iter([0.9, 0.88, 0.8, 0.79])  # of the untrained model, then of each epoch
    monkeypatch.setattr(
        selection.Selection,
        "_judge",
        lambda self, *_: torch.full((self.num_objects,), next(verdicts)),
    )
    method = {"prompts": "box", "alpha": 0.0, "self_training": 1.0}
    run = train(
        disc_data, tmp_path / "run", settings(sam_folder, method=method, data={"held_out": 0.3})
    )
    (told,) = advice_in(capsys)
    assert "was 0.800 in epoch 2, 0.900 at best before" in told
    assert "lower optim.lr_encoder, or raise method.gamma" in told
    before = [row["mask_free_quality_before"] for row in RunFolder(run).read_epochs()]
    assert before == pytest.approx([0.9, 0.9, 0.9])

"""A run from data to adapted weights."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ringsam.config import Config, read_config
from ringsam.data.dataset import read_two_boxes
from ringsam.errors import InputError
from ringsam.runs import RunFolder
from ringsam.sam.weights import load_sam
from ringsam.training.build import build_module
from ringsam.training.checkpoint import read_checkpoint, remove_checkpoint
from ringsam.training.module import load_towers
from ringsam.training.run import resume, train
from ringsam.training.session import FOR_TRYING_OUT, prepare


def settings(sam: Path, **method) -> Config:
    method = {"entropy_thresh": 0.7, "unfreeze_last_k": 1, **method}
    rates = {"lr_encoder": 1e-3, "batch_size": 2}
    return Config(weights=str(sam), epochs=2, method=method, optim=rates)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def finished(disc_data, sam_folder, tmp_path_factory) -> RunFolder:
    return RunFolder(train(disc_data, tmp_path_factory.mktemp("runs") / "a", settings(sam_folder)))


def test_a_run_of_the_bundled_sam_says_what_to_take_for_results(disc_data, sam_folder, tmp_path):
    sam, folder = load_sam(sam_folder), RunFolder(tmp_path / "run")
    boxes = read_two_boxes(disc_data)
    told = [
        prepare(folder, boxes, sam, Config(weights=weights)).announcement.splitlines()[1:]
        for weights in ("nano", str(sam_folder))
    ]
    assert told == [[FOR_TRYING_OUT], []]


def test_only_what_may_learn_has_learned(finished):
    before, after = weights(finished.original), weights(finished.adapted)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    learning = ("vision_encoder.layers.2.", "vision_encoder.neck.")
    assert all(name.startswith(learning) for name in moved)
    assert "vision_encoder.layers.2.mlp.lin1.weight" in moved


def test_every_epoch_is_logged_with_losses_monitors_and_the_ledger(finished):
    epochs = finished.read_epochs()
    assert [row["epoch"] for row in epochs] == [1, 2]
    for row in epochs:
        assert {"contrast", "distill", "mask_loss_pseudo", "iou_loss_pseudo"} <= row.keys()
        assert row["num_objects"] == 18
        assert row["num_trusted"] <= 18
        assert row["num_steps"] == 3
        assert row["num_anchors"] > 0 and row["num_missed"] + row["num_spurious"] > 0
        assert 0 < row["entropy"] < 0.7
    assert finished.metrics.with_suffix(".csv").read_text().startswith("epoch,seconds,")


def test_a_checkpoint_holds_the_seeds_keys_and_no_frozen_weight(finished):
    newest = sorted(finished.checkpoints.glob("*.ckpt"))[-1]
    checkpoint = read_checkpoint(newest)
    encoder = checkpoint["sam_image_encoder"]
    assert "layers.2.mlp.lin1.weight" in encoder and "layers.0.mlp.lin1.weight" not in encoder
    after = weights(finished.adapted)
    assert all(torch.equal(encoder[name], after[f"vision_encoder.{name}"]) for name in encoder)
    assert {"layers.0.weight", "layers.1.running_mean"} <= checkpoint["proj"].keys()
    assert checkpoint["state_dict"] == {}
    frozen = sum(t.numel() for t in weights(finished.original).values())
    assert sum(t.numel() for t in encoder.values()) < 0.6 * frozen


def test_where_the_teacher_is_kept_its_weights_are_written_and_resumed(
    disc_data, sam_folder, tmp_path
):
    config = settings(sam_folder, kept="teacher", ema_decay=0.8)
    run = RunFolder(train(disc_data, tmp_path / "a", config))
    newest = max(run.checkpoints.glob("*.ckpt"))
    content, written = read_checkpoint(newest), weights(run.adapted)
    adaptation = build_module(load_sam(run.original), config).adaptation
    load_towers(adaptation, content)
    for name, weight in adaptation.kept_encoder().items():
        assert torch.equal(weight, written[f"vision_encoder.{name}"])
    student = content["sam_image_encoder"]
    assert not any(torch.equal(w, written[f"vision_encoder.{name}"]) for name, w in student.items())
    assert content["lr_schedulers"][0]["_last_lr"][0] == 1e-3  # the rate has stayed
    remove_checkpoint(newest)
    resume(run.path)
    again = weights(run.adapted)
    assert all(torch.equal(weight, again[name]) for name, weight in written.items())


def test_a_run_remembers_its_settings(finished, sam_folder):
    assert read_config(finished.config) == settings(sam_folder)


def test_a_run_that_finished_is_not_trained_on(finished):
    before = weights(finished.adapted)
    resume(finished.path)
    after = weights(finished.adapted)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert len(finished.read_epochs()) == 2


def test_a_run_without_signal_moves_no_weight(disc_data, sam_folder, tmp_path):
    folder = RunFolder(train(disc_data, tmp_path / "run", settings(sam_folder, entropy_thresh=0.0)))
    before, after = weights(folder.original), weights(folder.adapted)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(r["num_steps_without_signal"] == r["num_steps"] for r in folder.read_epochs())


def test_training_from_masks_or_without_gives_the_same_weights(disc_data, sam_folder, tmp_path):
    runs = [
        RunFolder(train(disc_data / name, tmp_path / name, settings(sam_folder)))
        for name in ("two_boxes.json", "annotations.json")
    ]
    first, second = (weights(run.adapted) for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert "miou_pseudo" in runs[0].read_epochs()[0]
    assert "miou" in runs[1].read_epochs()[0]


def test_a_folder_that_holds_anything_is_refused(disc_data, sam_folder, tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(InputError, match="not empty; give another --out"):
        train(disc_data, tmp_path, settings(sam_folder))
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_run_is_never_written_over(disc_data, sam_folder, finished):
    with pytest.raises(InputError, match="not empty; continue it with `ringsam resume"):
        train(disc_data, finished.path, settings(sam_folder))


@pytest.mark.parametrize("hardware", [{"accelerator": "abacus"}, {"devices": 100_000}])
def test_hardware_that_is_not_there_is_refused_before_anything_is_written(
    disc_data, sam_folder, tmp_path, hardware
):
    config = Config(weights=str(sam_folder), hardware=hardware)
    with pytest.raises(InputError, match=r"this machine"):
        train(disc_data, tmp_path / "run", config)
    assert not (tmp_path / "run").exists()


def test_bad_data_is_refused_before_anything_is_written(disc_data, sam_folder, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(disc_data, data)
    content = json.loads((data / "two_boxes.json").read_text())
    content["annotations"][4]["small_box"] = [0, 0, 64, 64]
    (data / "two_boxes.json").write_text(json.dumps(content))
    cut = data / "images" / "3.png"
    cut.write_bytes(cut.read_bytes()[:500])
    with pytest.raises(InputError) as error:
        train(data, tmp_path / "run", settings(sam_folder))
    assert "annotation 5" in str(error.value) and "3.png" in str(error.value)
    assert not (tmp_path / "run").exists()


def test_more_blocks_than_the_encoder_has_are_refused(disc_data, sam_folder, tmp_path):
    with pytest.raises(InputError, match="has 3 blocks"):
        train(disc_data, tmp_path / "run", settings(sam_folder, unfreeze_last_k=9))
    assert not (tmp_path / "run").exists()


def test_resume_refuses_data_that_changed(disc_data, sam_folder, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(disc_data, data)
    train(data, tmp_path / "run", settings(sam_folder))
    text = (data / "two_boxes.json").read_text()
    (data / "two_boxes.json").write_text(text + "\n")
    with (data / "images" / "2.png").open("ab") as image:
        image.write(b"more")
    with pytest.raises(InputError, match=r"2 change\(s\) since") as refusal:
        resume(tmp_path / "run")
    assert refusal.value.rows == ["two_boxes.json: was changed", "2.png: was changed"]


def test_two_processes_do_not_train_in_one_folder(finished):
    with finished.held(), pytest.raises(InputError, match="another process is training"):
        resume(finished.path)
    resume(finished.path)


def test_resume_takes_the_older_checkpoint_where_the_newest_is_damaged(
    disc_data, sam_folder, tmp_path, capsys
):
    folder = RunFolder(train(disc_data, tmp_path / "run", settings(sam_folder)))
    expected = weights(folder.adapted)
    newest = sorted(folder.checkpoints.glob("*.ckpt"))[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    shutil.rmtree(folder.adapted)
    resume(folder.path)
    printed = capsys.readouterr().out
    assert "skipped" in printed and "sha256 differs" in printed
    after = weights(folder.adapted)
    assert all(torch.equal(expected[name], after[name]) for name in expected)


def test_resume_needs_to_know_the_data(finished, tmp_path):
    copy = RunFolder(tmp_path / "run")
    shutil.copytree(finished.path, copy.path)
    copy.data_note.write_text("[]")
    with pytest.raises(InputError, match="does not say what"):
        resume(copy.path)

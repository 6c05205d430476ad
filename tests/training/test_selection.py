"""The epoch that is kept, the collapse that is undone, the stop; all without masks."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from ringsam.config import RECIPES, Config
from ringsam.data.dataset import read_two_boxes
from ringsam.runs import RunFolder
from ringsam.sam.weights import load_sam
from ringsam.training import selection
from ringsam.training.build import build_module
from ringsam.training.checkpoint import read_checkpoint
from ringsam.training.module import load_towers
from ringsam.training.run import resume, train


def settings(sam, *, epochs: int = 3, rate: float = 1e-3, **data) -> Config:
    return Config(
        weights=str(sam),
        epochs=epochs,
        method={"prompts": "box", "alpha": 0.0, "self_training": 1.0, "box_constraint": 1.0},
        optim={"lr_encoder": rate, "batch_size": 2},
        data={"held_out": 0.3, **data},
    )


def judged(monkeypatch, qualities: list[float]) -> None:
    """Have the epochs judged so, the untrained model first."""
    verdicts = iter(qualities)

    def judge(self, *_) -> torch.Tensor:
        return torch.full((self.num_objects,), next(verdicts))

    monkeypatch.setattr(selection.Selection, "_judge", judge)


def adapted(run) -> dict[str, torch.Tensor]:
    return load_file(run / "adapted" / "model.safetensors")


def test_the_held_out_images_are_a_fixed_part_that_is_not_trained_on(disc_data):
    data = read_two_boxes(disc_data)
    learn, held = data.hold_out(0.3, seed=1)
    again = data.hold_out(0.3, seed=1)[1]
    assert [r.image_id for r in held.images] == [r.image_id for r in again.images]
    assert len(held.images) == 2 and len(learn.images) == 4
    ids = sorted(record.image_id for record in (*learn.images, *held.images))
    assert ids == sorted(record.image_id for record in data.images)
    others = [data.hold_out(0.3, seed=s)[1].images.image_ids.tolist() for s in range(2, 9)]
    assert any(other != held.images.image_ids.tolist() for other in others)
    assert data.hold_out(0.0, seed=1)[1].images.image_ids.tolist() == []


def test_the_best_epoch_is_kept_not_the_last(disc_data, sam_folder, tmp_path, monkeypatch, capsys):
    judged(monkeypatch, [0.1, 0.5, 0.9, 0.8])
    run = train(disc_data, tmp_path / "a", settings(sam_folder))
    assert "kept epoch 2, of mask-free quality 0.900" in capsys.readouterr().out
    checkpoints = {c.stem: c for c in RunFolder(run).checkpoints.glob("*.ckpt")}
    second = read_checkpoint(checkpoints["epoch=0001"])["sam_image_encoder"]
    kept = adapted(run)
    assert all(torch.equal(weight, kept[f"vision_encoder.{n}"]) for n, weight in second.items())
    assert [row["mask_free_quality"] for row in RunFolder(run).read_epochs()] == pytest.approx(
        [0.5, 0.9, 0.8]
    )


def test_where_the_teacher_is_kept_it_is_judged_and_its_best_epoch_written(
    disc_data, sam_folder, tmp_path, monkeypatch
):
    seen = []

    def judge(sam, embedding, batch, draws):
        seen.append((batch.images, embedding))
        return torch.full((batch.num_objects,), 0.5 if len(seen) == 3 else 0.4)

    monkeypatch.setattr(selection, "judge", judge)
    config = settings(sam_folder)
    run = train(
        disc_data,
        tmp_path / "a",
        replace(config, method=replace(config.method, kept="teacher", ema_decay=0.8)),
    )
    kept, (images, embedding) = adapted(run), seen[2]
    with torch.no_grad():
        by_kept = load_sam(RunFolder(run).adapted).encode(images)
    assert torch.allclose(by_kept, embedding, atol=1e-5)
    assert not any(torch.allclose(other, embedding, atol=1e-5) for _, other in seen[:2])
    original, settled = load_sam(RunFolder(run).original), RunFolder(run).read_config()
    adaptation = build_module(original, settled).adaptation
    load_towers(adaptation, read_checkpoint(RunFolder(run).checkpoints / "epoch=0001.ckpt"))
    teacher = adaptation.kept_encoder()
    assert all(torch.equal(w, kept[f"vision_encoder.{n}"]) for n, w in teacher.items())
    for path in RunFolder(run).checkpoints.glob("*.ckpt"):
        student = read_checkpoint(path)["sam_image_encoder"]
        assert not any(torch.equal(w, kept[f"vision_encoder.{n}"]) for n, w in student.items())


def test_a_difference_within_the_noise_keeps_the_later_epoch_but_never_drifts_down(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys
):
    judged(monkeypatch, [0.900, 0.895, 0.892, 0.885])  # the last is 1.7 % below the best
    train(disc_data, tmp_path / "a", settings(sam_folder))
    assert "kept epoch 2, of mask-free quality 0.892" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("qualities", "worse"),
    [
        ([0.7, 0.8, 0.9], True),  # each by 0.1
        ([0.8, 0.8, 0.8], True),
        ([0.6, 0.95, 1.0], False),  # one by much: that may be chance
        ([0.6, 0.8, 0.9], True),
        ([0.794, 0.894, 0.994], False),  # each, but by less than a hundredth
        ([0.9, 0.9, 1.0], False),
    ],
)
def test_worse_is_by_more_than_noise_and_more_than_so_few_can_tell(qualities, worse):
    best = torch.tensor([0.8, 0.9, 1.0])
    assert selection.is_worse(torch.tensor(qualities), best) == worse
    lost = best - torch.tensor(qualities)
    slow = lost.std() / 3**0.5  # the standard error of a mean of three
    assert worse == bool(lost.mean() > max(0.01 * 0.9, slow))


def test_one_held_out_object_tells_by_itself():
    assert selection.is_worse(torch.tensor([0.8]), torch.tensor([0.9]))
    assert not selection.is_worse(torch.tensor([0.895]), torch.tensor([0.9]))


def test_a_model_that_training_only_worsens_is_left_as_it_was(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys
):
    judged(monkeypatch, [0.9, 0.8, 0.8, 0.8, 0.8])
    run = train(disc_data, tmp_path / "a", settings(sam_folder, epochs=5))
    assert "no better epoch since 0: stopping" in capsys.readouterr().out
    assert len(RunFolder(run).read_epochs()) == selection.PATIENCE
    original = load_file(run / "original" / "model.safetensors")
    assert all(torch.equal(weight, original[name]) for name, weight in adapted(run).items())
    resume(run)  # stays stopped
    assert len(RunFolder(run).read_epochs()) == selection.PATIENCE


@pytest.mark.slow
def test_a_run_made_to_collapse_is_rolled_back(tmp_path, capsys):
    """At a rate five million times the seed's, nano's masks turn to nothing."""
    sample = RECIPES.parent / "assets" / "sample" / "train"
    content = json.loads((sample / "two_boxes.json").read_text(encoding="utf-8"))
    content["images"] = content["images"][:4]
    chosen = {image["id"] for image in content["images"]}
    rows = [row for row in content["annotations"] if row["image_id"] in chosen]
    few = tmp_path / "data"
    shutil.copytree(sample / "images", few / "images")
    (few / "two_boxes.json").write_text(json.dumps({**content, "annotations": rows}))
    run = train(few, tmp_path / "a", settings("nano", epochs=2, rate=10.0))
    said = capsys.readouterr().out
    assert "epoch 1 collapsed" in said and "epoch 2 collapsed" in said and "kept epoch 0" in said
    first, second = (
        read_checkpoint(path) for path in sorted(RunFolder(run).checkpoints.glob("*.ckpt"))
    )
    original = load_file(run / "original" / "model.safetensors")
    for name, weight in first["sam_image_encoder"].items():
        assert torch.equal(weight, original[f"vision_encoder.{name}"])
    assert [c["lr_schedulers"][0]["base_lrs"][0] for c in (first, second)] == [5.0, 2.5]
    assert not first["optimizer_states"][0]["state"]
    assert first["optimizer_states"][0]["param_groups"][0]["lr"] == pytest.approx(
        2.5
    )  # of cosine's half
    assert all(torch.equal(weight, original[name]) for name, weight in adapted(run).items())


def test_a_resumed_run_keeps_what_was_best(disc_data, sam_folder, tmp_path, monkeypatch):
    judged(monkeypatch, [0.1, 0.9, 0.8, 0.8])
    whole = train(disc_data, tmp_path / "whole", settings(sam_folder))
    judged(monkeypatch, [0.1, 0.9, 0.8, 0.8])
    part = train(disc_data, tmp_path / "part", settings(sam_folder))
    folder = RunFolder(part)
    sorted(folder.checkpoints.glob("*.ckpt"))[-1].unlink()
    judged(monkeypatch, [0.8])
    resume(part)
    assert all(torch.equal(weight, adapted(whole)[name]) for name, weight in adapted(part).items())

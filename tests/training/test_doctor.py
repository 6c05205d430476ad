"""The dry step: it says ok where all is well, and bad where a part does not do what it should."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

from ringsam.cli import main
from ringsam.config import Config
from ringsam.errors import InputError
from ringsam.method.adaptation import Adaptation
from ringsam.training.doctor import examine

TOPICS = ["machine", "data", "weights", "normalisation", "self_training", "box_constraint", "masks"]
TOPICS += ["frozen parts", "EMA", "distillation", "time", "memory", "disk"]


def settings(sam, **method) -> Config:
    method = {
        "prompts": "mixed",
        "alpha": 0.0,
        "self_training": 1.0,
        "box_constraint": 0.5,
        **method,
    }
    return Config(weights=str(sam), method=method, optim={"lr_encoder": 1e-3})


def verdicts(data, config: Config) -> dict[str, str]:
    return {finding.topic: finding.verdict for finding in examine(data, config)}


def test_a_sound_set_up_is_ok_throughout(disc_data, sam_folder):
    found = verdicts(disc_data, settings(sam_folder))
    assert list(found) == TOPICS
    assert set(found.values()) == {"ok"}


def test_a_contrast_without_signal_is_a_warning_with_its_reason(disc_data, sam_folder):
    config = settings(sam_folder, alpha=1.0, entropy_thresh=0.0)
    found = {finding.topic: finding for finding in examine(disc_data, config)}
    assert found["contrast"].verdict == "warn"
    assert "0 of 12 objects trusted" in found["contrast"].text


def test_bad_data_ends_the_examination(disc_data, sam_folder, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(disc_data, data)
    content = json.loads((data / "two_boxes.json").read_text())
    content["annotations"][0]["big_box"] = [5, 5, 5, 5]
    (data / "two_boxes.json").write_text(json.dumps(content))
    assert main(["doctor", str(data), "--weights", str(sam_folder)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("bad   data") and lines[1].endswith("1 errors:")
    assert lines[2:] == [
        "error: 0.png: annotation 1: big_box [5, 5, 5, 5] has no area; draw it again"
    ]


def test_images_that_all_are_left_out_end_it_too(disc_data, sam_folder, tmp_path, capsys):
    data = tmp_path / "data"
    shutil.copytree(disc_data, data)
    for path in (data / "images").iterdir():
        path.write_bytes(path.read_bytes()[:200])
    flags = ["--weights", str(sam_folder), "--data.on_bad", "skip"]
    assert main(["doctor", str(data), *flags]) == 2
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("bad   data") and last.endswith("no image with objects can be read")


def test_a_teacher_that_does_not_follow_is_found(disc_data, sam_folder, monkeypatch):
    monkeypatch.setattr(Adaptation, "update_teacher", lambda _: None)
    assert verdicts(disc_data, settings(sam_folder))["EMA"] == "bad"


def test_a_frozen_weight_that_moves_is_found(disc_data, sam_folder, monkeypatch):
    update = Adaptation.update_teacher

    def update_and_touch(adaptation: Adaptation) -> None:
        update(adaptation)
        with torch.no_grad():
            next(adaptation.sam.model.mask_decoder.parameters()).add_(1e-6)

    monkeypatch.setattr(Adaptation, "update_teacher", update_and_touch)
    assert verdicts(disc_data, settings(sam_folder))["frozen parts"] == "bad"


@pytest.mark.parametrize("labels", ["two_boxes.json", "annotations.json"])
def test_a_loss_that_sees_the_masks_is_found(disc_data, sam_folder, monkeypatch, labels):
    step = Adaptation.step

    def peek(adaptation, batch, draws):
        output = step(adaptation, batch, draws)
        if batch.gt_masks is None:
            return output
        return replace(output, loss=output.loss + batch.gt_masks.float().mean())

    monkeypatch.setattr(Adaptation, "step", peek)
    expected = "bad" if labels == "annotations.json" else "ok"
    assert verdicts(disc_data / labels, settings(sam_folder))["masks"] == expected


def test_a_loss_that_reaches_nothing_is_found(disc_data, sam_folder, monkeypatch):
    step = Adaptation.step

    def cut(adaptation, batch, draws):
        output = step(adaptation, batch, draws)
        if torch.is_grad_enabled():
            output.terms["box_constraint"] = output.terms["distill"] * 0
        return output

    monkeypatch.setattr(Adaptation, "step", cut)
    assert verdicts(disc_data, settings(sam_folder))["box_constraint"] == "bad"


def test_hardware_that_is_not_there_is_a_user_error(disc_data, sam_folder):
    config = replace(settings(sam_folder), hardware={"accelerator": "abacus"})
    with pytest.raises(InputError, match="hardware settings do not fit"):
        verdicts(disc_data, config)

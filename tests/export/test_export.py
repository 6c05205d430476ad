"""Exports are read back and compared before they stand under their name."""

import subprocess

import pytest
import torch
from tiny import tiny_sam
from transformers import SamModel

from ringsam.config import Config
from ringsam.errors import ExportDiffers, InputError
from ringsam.export import export_weights, weights_files
from ringsam.export.checks import answer, compare
from ringsam.runs import RunFolder
from ringsam.sam.weights import load_sam, save_folder

FORMATS = ["hf", "meta", pytest.param("onnx", marks=pytest.mark.slow)]


def names_in(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(("to", "weights_file"), [("hf", "."), ("meta", "sam.pth")])
def test_an_export_gives_the_same_masks(weights, tmp_path, to, weights_file):
    out = tmp_path / "new" / "export"
    said = export_weights(weights, to=to, out=out)
    assert said.startswith(f"{out}: written, read back and compared\n")
    assert "IoU of masks 1.0000, largest difference of a logit 0" in said
    parity = compare("again", answer(load_sam(out / weights_file)), answer(tiny_sam()))
    assert parity[1:] == (1, 0)
    assert names_in(out.parent) == {"export"}


def test_a_run_exports_its_adapted_weights_beside_its_other_files(run):
    export_weights(run.path, to="hf")
    export_weights(run.path, to="meta")
    for out in (run.path / "export_hf", run.path / "export_meta" / "sam.pth"):
        assert torch.equal(answer(load_sam(out)), answer(load_sam(run.adapted)))
    assert SamModel.from_pretrained(run.path / "export_hf").config.vision_config.image_size == 64
    state = torch.load(run.path / "export_meta" / "sam.pth", weights_only=True)
    assert "image_encoder.pos_embed" in state


def test_other_weights_give_other_masks():
    first, second = answer(tiny_sam(seed=0)), answer(tiny_sam(seed=1))
    parity = compare("two seeds", first, second)
    assert parity.difference > 0.01 and parity.iou < 0.99
    assert compare("one seed", first, answer(tiny_sam())) == ("one seed", 1, 0)


def test_masks_that_are_both_empty_are_the_same():
    nothing = torch.full((2, 1, 4, 4), -1.0)
    assert compare("empty", nothing, nothing).iou == 1


@pytest.mark.parametrize("to", ["hf", "meta"])
def test_an_export_that_reads_back_otherwise_leaves_nothing(weights, tmp_path, to, monkeypatch):
    monkeypatch.setattr(weights_files, "load_sam", lambda _: tiny_sam(seed=1))
    with pytest.raises(ExportDiffers, match=r"largest difference of a logit [0-9.]+; other"):
        export_weights(weights, to=to, out=tmp_path / "export")
    assert names_in(tmp_path) == {"weights"}


@pytest.mark.parametrize("to", FORMATS)
def test_weights_that_are_no_numbers_are_not_called_the_same(tmp_path, to):
    sam = tiny_sam()
    with torch.no_grad():
        sam.model.mask_decoder.iou_token.weight.fill_(torch.nan)
    save_folder(sam, tmp_path / "weights")
    with pytest.raises(ExportDiffers, match="nan"):
        export_weights(tmp_path / "weights", to=to, out=tmp_path / "export")
    assert names_in(tmp_path) == {"weights"}


@pytest.mark.parametrize("to", FORMATS)
def test_nothing_is_written_over(weights, tmp_path, to):
    out = tmp_path / "export"
    out.write_text("mine")
    with pytest.raises(InputError, match="export: exists; give another --out"):
        export_weights(weights, to=to, out=out)
    assert out.read_text() == "mine" and names_in(tmp_path) == {"weights", "export"}


def test_what_an_interrupted_export_left_is_no_hindrance(weights, tmp_path):
    (tmp_path / ".export.unfinished").mkdir()
    export_weights(weights, to="meta", out=tmp_path / "export")
    assert names_in(tmp_path) == {"weights", "export"}


def test_a_place_that_cannot_be_written_is_refused(weights, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        export_weights(weights, to="hf", out=tmp_path / "file" / "export")


def test_weights_without_a_run_need_a_place(weights):
    with pytest.raises(InputError, match="is not a run folder; say where to with --out"):
        export_weights(weights, to="hf")


def test_an_unfinished_run_has_nothing_to_export(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    folder.write_config(Config())
    with pytest.raises(InputError, match="the run has not finished"):
        export_weights(folder.path, to="hf")


def test_the_checksums_are_those_of_every_file(run):
    export_weights(run.path, to="hf")
    out = run.path / "export_hf"
    listed = {line.split("  ")[1] for line in (out / "SHA256SUMS").read_text().splitlines()}
    assert listed == names_in(out) - {"SHA256SUMS"}
    command = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(command, cwd=out).returncode == 0
    (out / "config.json").write_text("{}")
    assert subprocess.run(command, cwd=out, capture_output=True).returncode == 1

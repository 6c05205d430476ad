"""Exports are read back and compared before they stand under their name."""

import pytest
import torch
from tiny import tiny_sam
from transformers import SamModel

import ringsam.export
from ringsam.config import Config, write_config
from ringsam.errors import ExportDiffers, InputError
from ringsam.export import export_weights, mask_difference
from ringsam.runs import RunFolder
from ringsam.sam.weights import load_sam, save_folder


@pytest.fixture
def weights(tmp_path):
    save_folder(tiny_sam(), tmp_path / "weights")
    return tmp_path / "weights"


@pytest.fixture
def run(tmp_path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.create()
    save_folder(tiny_sam(seed=0), folder.original)
    save_folder(tiny_sam(seed=1), folder.adapted)
    write_config(Config(), folder.config)
    return folder


def names_in(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("to", ["hf", "meta"])
def test_an_export_gives_the_same_masks(weights, tmp_path, to):
    out = tmp_path / "new" / "export"
    said = export_weights(weights, to=to, out=out)
    assert said == f"{out}: read back and compared, the masks are the same to the last bit"
    assert mask_difference(load_sam(out), tiny_sam()) == 0
    assert names_in(out.parent) == {"export"}


def test_a_run_exports_its_adapted_weights_beside_its_other_files(run):
    export_weights(run.path, to="hf")
    export_weights(run.path, to="meta")
    for out in (run.path / "export_hf", run.path / "sam_adapted.pth"):
        assert mask_difference(load_sam(out), tiny_sam(seed=1)) == 0
    assert SamModel.from_pretrained(run.path / "export_hf").config.vision_config.image_size == 64
    assert "pos_embed" in str(torch.load(run.path / "sam_adapted.pth", weights_only=True).keys())


def test_other_weights_give_other_masks():
    assert mask_difference(tiny_sam(seed=0), tiny_sam(seed=1)) > 0.01
    assert mask_difference(tiny_sam(), tiny_sam()) == 0


@pytest.mark.parametrize("to", ["hf", "meta"])
def test_an_export_that_reads_back_otherwise_leaves_nothing(weights, tmp_path, to, monkeypatch):
    sams = iter([tiny_sam(seed=0), tiny_sam(seed=1)])
    monkeypatch.setattr(ringsam.export, "load_sam", lambda _: next(sams))
    with pytest.raises(ExportDiffers, match="masks that differ by up to"):
        export_weights(weights, to=to, out=tmp_path / "export")
    assert names_in(tmp_path) == {"weights"}


def test_weights_that_are_no_numbers_are_not_called_the_same(tmp_path):
    sam = tiny_sam()
    with torch.no_grad():
        sam.model.mask_decoder.iou_token.weight.fill_(torch.nan)
    save_folder(sam, tmp_path / "weights")
    with pytest.raises(ExportDiffers, match="differ by up to nan"):
        export_weights(tmp_path / "weights", to="hf", out=tmp_path / "export")
    assert names_in(tmp_path) == {"weights"}


@pytest.mark.parametrize("to", ["hf", "meta"])
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
    write_config(Config(), folder.config)
    with pytest.raises(InputError, match="the run has not finished"):
        export_weights(folder.path, to="hf")

"""Row 47: an export whose masks differ when it is read back is deleted, exit code 4, with the largest difference."""

import torch

import ringsam.export
from ringsam.cli import main
from ringsam.sam.weights import load_sam, save_folder


def test_a_weight_that_changes_on_its_way_deletes_the_export(
    sam_folder, tmp_path, capsys, monkeypatch
):
    def altered(sam, folder):
        with torch.no_grad():
            sam.model.mask_decoder.iou_token.weight.add_(1)
        save_folder(sam, folder)
        with torch.no_grad():
            sam.model.mask_decoder.iou_token.weight.sub_(1)

    monkeypatch.setitem(ringsam.export._WRITERS, "hf", altered)
    out = tmp_path / "exported"
    assert main(["export", str(sam_folder), "--to", "hf", "--out", str(out)]) == 4
    said = capsys.readouterr().err
    assert said.startswith(
        f"ringsam export: {out}: the weights read back give masks that differ by"
    )
    assert float(said.split("differ by up to ")[1].split(";")[0]) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_sam_of_512_px_goes_to_meta_and_back(sam_folder, tmp_path, capsys):
    save_folder(load_sam(sam_folder, input_size=512), tmp_path / "large")
    out = tmp_path / "sam.pth"
    assert main(["export", str(tmp_path / "large"), "--to", "meta", "--out", str(out)]) == 0
    assert load_sam(out).input_size == 512

"""Row 47: an export whose masks differ when it is read back is deleted, exit code 4, with the largest difference."""

import torch

from ringsam.cli import main
from ringsam.export import weights_files
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

    monkeypatch.setattr(weights_files, "save_folder", altered)
    out = tmp_path / "exported"
    assert main(["export", str(sam_folder), "--to", "hf", "--out", str(out)]) == 4
    said = capsys.readouterr().err
    assert said.startswith("ringsam export: the transformers folder: IoU of masks ")
    assert float(said.split("largest difference of a logit ")[1].split(";")[0]) > 0
    assert list(tmp_path.iterdir()) == []


def test_a_sam_of_512_px_goes_to_meta_and_back(sam_folder, tmp_path, capsys):
    save_folder(load_sam(sam_folder, input_size=512), tmp_path / "large")
    out = tmp_path / "exported"
    assert main(["export", str(tmp_path / "large"), "--to", "meta", "--out", str(out)]) == 0
    assert load_sam(out / "sam.pth").input_size == 512

"""What an adaptation changed, as an adapter that plain peft puts on the original weights."""

import json
import sys

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from tiny import tiny_sam
from transformers import SamModel

from ringsam.cli import main
from ringsam.errors import ExportDiffers, InputError
from ringsam.export import export_weights, lora
from ringsam.export.change import Change
from ringsam.export.checks import answer, compare
from ringsam.sam.model import Sam
from ringsam.sam.weights import load_sam, save_folder


@pytest.fixture
def change(run) -> Change:
    original = SamModel.from_pretrained(run.original)
    return Change.between(original, load_sam(run.adapted).model.state_dict())


def test_the_factors_of_full_rank_are_the_change(change):
    assert len(change.linear) == 3 * 4  # blocks x (qkv, proj, lin1, lin2)
    for name in change.linear:
        b, a, bias = change.factors(name, 40)
        weight = change.after[f"{name}.weight"] - change.before[f"{name}.weight"]
        assert b.shape[1] == a.shape[0] == 40
        assert torch.allclose(b @ a, weight, atol=1e-6)
        assert torch.equal(bias, change.after[f"{name}.bias"] - change.before[f"{name}.bias"])


@pytest.mark.parametrize("energy", [0.3, 0.9, 1.0])
def test_the_rank_is_the_smallest_that_keeps_the_energy(change, energy):
    def kept(rank: int) -> float:
        total = left = 0.0
        for name in change.linear:
            b, a, _ = change.factors(name, rank)
            weight = change.after[f"{name}.weight"] - change.before[f"{name}.weight"]
            total += float(weight.square().sum())
            left += float((weight - b @ a).square().sum())
        return 1 - left / total

    rank = change.rank_of(energy)
    assert kept(rank) >= energy - 1e-6 and (rank == 1 or kept(rank - 1) < energy)


def test_only_position_tables_are_left_behind(change):
    state = change.applied(change.rank_of(1.0))
    lost = {
        name.rpartition(".")[2]
        for name, weight in change.after.items()
        if not torch.allclose(state[name], weight, atol=1e-6)
    }
    assert lost == {"pos_embed", "rel_pos_h", "rel_pos_w"}


def test_peft_alone_puts_the_adapter_on_the_original(run):
    said = export_weights(run.path, to="lora", rank=5)
    assert "the adapter, rank 5, on the original: IoU of masks 1.0000" in said
    out = run.path / "export_lora"
    loaded = PeftModel.from_pretrained(SamModel.from_pretrained(run.original), out)
    masks = answer(Sam(loaded.merge_and_unload().eval()))
    adapted = answer(load_sam(run.adapted))
    near, far = compare("", adapted, masks), compare("", adapted, answer(load_sam(run.original)))
    assert near.difference < far.difference / 2 and near.iou > far.iou
    assert f"IoU of masks {near.iou:.4f}" in said and f"IoU of masks {far.iou:.4f}" in said
    assert f"IoU of masks {near.iou:.4f}" in (out / "README.md").read_text()


def test_the_adapter_names_its_base_and_no_folder_of_this_machine(run):
    export_weights(run.path, to="lora", energy=0.5)
    out = run.path / "export_lora"
    config = json.loads((out / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "facebook/sam-vit-base"
    assert config["lora_alpha"] == config["r"] < 32
    assert str(run.path) not in (out / "adapter_config.json").read_text()
    state = load_file(out / "adapter_model.safetensors")
    assert all("vision_encoder" in name for name in state)
    assert not any(name.endswith("mlp.lin1.weight") for name in state)


@pytest.mark.slow
def test_a_larger_rank_is_nearer(run):
    ious = []
    for rank in (1, 8, 100):
        said = export_weights(run.path, to="lora", rank=rank, out=run.path / f"rank_{rank}")
        ious.append(float(said.splitlines()[2].split("masks ")[1].split(",")[0]))
    assert ious == sorted(ious) and ious[0] < ious[-1] and ious[-1] > 0.97
    assert json.loads((run.path / "rank_100" / "adapter_config.json").read_text())["r"] == 32


def test_an_adapter_that_loads_as_something_else_is_removed(run, monkeypatch):
    class Altered(Change):
        def factors(self, name, rank):
            b, a, bias = super().factors(name, rank)
            return b, -a, bias

    write = lora._wrapped
    monkeypatch.setattr(
        lora,
        "_wrapped",
        lambda peft, model, change, rank: write(peft, model, Altered(**vars(change)), rank),
    )
    with pytest.raises(ExportDiffers, match="the adapter, rank"):
        export_weights(run.path, to="lora")
    assert not (run.path / "export_lora").exists()


def test_weights_that_no_run_adapted_have_no_adapter(weights, tmp_path, run):
    with pytest.raises(InputError, match="give a run folder"):
        export_weights(weights, to="lora", out=tmp_path / "out")
    save_folder(tiny_sam(), run.adapted)
    with pytest.raises(InputError, match="changed no linear weight"):
        export_weights(run.path, to="lora")
    assert not (run.path / "export_lora").exists()


@pytest.mark.parametrize(
    "flags",
    [
        "--to lora --rank 0",
        "--to lora --rank 4 --energy 0.5",
        "--to lora --energy 0",
        "--to lora --energy 1.5",
        "--to lora --energy nan",
        "--to hf --rank 4",
    ],
)
def test_sizes_that_cannot_be_are_refused(run, capsys, flags):
    capsys.readouterr()
    assert main(["export", str(run.path), *flags.split()]) == 2
    assert "--rank" in (said := capsys.readouterr().err) or "--energy" in said


def test_without_the_extra_the_mend_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(InputError, match=r'install -c constraints.txt "\.\[lora\]"'):
        export_weights(run.path, to="lora")

"""What is not plain SAM, and what was cut, altered or made to harm, is refused in words."""

import json
import random
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch
from test_weights import weights_of
from tiny import tiny_sam

from ringsam.errors import InputError
from ringsam.sam.meta_layout import to_meta
from ringsam.sam.weights import load_sam, save_folder


def refusal(weights: str | Path) -> str:
    with pytest.raises(InputError) as caught:
        load_sam(weights)
    assert str(caught.value).startswith(str(weights))
    return str(caught.value)


@pytest.fixture(scope="module")
def saved_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "sam"
    save_folder(tiny_sam(), folder)
    return folder


@pytest.fixture
def folder(saved_folder, tmp_path) -> Path:
    """A transformers folder to damage."""
    return Path(shutil.copytree(saved_folder, tmp_path / "sam"))


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def rewrite_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("kept", [0, 7, 5000, -500])
def test_cut_weights_of_a_folder_are_refused(folder, kept):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    assert "sha256 differs" in refusal(folder)
    path.with_name("model.safetensors.sha256").unlink()  # as in a folder that transformers wrote
    assert "copy the folder again" in refusal(folder)


def test_a_folder_with_half_of_the_blocks_is_refused(folder):
    vision = json.loads((folder / "config.json").read_text())["vision_config"]
    rewrite_config(folder, vision_config={**vision, "num_hidden_layers": 6})
    assert "of SAM's weights are missing, vision_encoder.layers.3." in refusal(folder)
    rewrite_config(folder, vision_config={**vision, "mlp_dim": 65})
    assert "9 weights have not the shape that config.json says, vision_enc" in refusal(folder)


@pytest.mark.parametrize(
    ("model_type", "architecture"),
    [("sam2_video", "Sam2VideoModel"), ("sam_hq", "SamHQModel"), ("sam", "SamVisionModel")],
)
def test_a_folder_of_another_model_is_refused_by_name(folder, model_type, architecture):
    rewrite_config(folder, model_type=model_type, architectures=[architecture])
    assert f"is not a SamModel but '{model_type}', ['{architecture}']" in refusal(folder)


def test_a_folder_without_architectures_is_still_told_by_its_type(folder):
    rewrite_config(folder, model_type="bert", architectures=None)
    assert "is not a SamModel but 'bert'" in refusal(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", ""])
def test_a_folder_whose_config_says_nothing_is_refused(folder, text):
    (folder / "config.json").write_text(text)
    refusal(folder)


def test_a_folder_without_config_or_without_weights_is_refused(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    assert "no file named model.safetensors" in refusal(folder)
    (tmp_path / "empty").mkdir()
    assert "no config.json" in refusal(tmp_path / "empty")


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("old_format", [False, True])
def test_a_hostile_pickle_is_refused_and_not_run(folder, tmp_path, old_format):
    (folder / "model.safetensors").unlink()
    zipped = not old_format
    for place in (tmp_path / "sam.pth", folder / "pytorch_model.bin"):
        state = {"image_encoder.pos_embed": Hostile(tmp_path / "touched")}
        torch.save(state, place, _use_new_zipfile_serialization=zipped)
    for weights in (tmp_path / "sam.pth", folder):
        assert "more than tensors" in refusal(weights)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("old_format", [False, True])
def test_a_pth_that_was_cut_or_altered_is_refused(tmp_path, old_format):
    path, draw, sam = tmp_path / "sam.pth", random.Random(0), tiny_sam()
    state = to_meta(weights_of(sam), sam.model.config)
    torch.save(state, path, _use_new_zipfile_serialization=not old_format)
    whole = path.read_bytes()
    load_sam(path)
    for _ in range(20):
        path.write_bytes(whole[: draw.randrange(len(whole))])
        refusal(path)
    for _ in range(0 if old_format else 20):  # the old format has no checksums
        altered = bytearray(whole)
        altered[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(altered)
        refusal(path)


@pytest.mark.parametrize(
    "name", ["gone", "gone.pth", "runs/gone.pth", "a/b/c", "/gone", "bad name"]
)
def test_a_missing_path_is_not_looked_for_on_the_hub(monkeypatch, name):
    monkeypatch.setattr("ringsam.sam.weights.load_hub", lambda name: pytest.fail("asked the hub"))
    assert "no such file or folder; give `nano`, a run, a tr" in refusal(name)


def test_a_hub_name_without_a_network_is_refused_with_the_remedy(offline):
    assert "download it where there is a network" in refusal("facebook/sam-vit-of-nowhere")


ONE = torch.zeros(1)
STRANGERS = {
    "a checkpoint of several parts": lambda plain: {"model": plain, "epoch": 3},
    "LoRA weights; merge them": lambda plain: {**plain, "image_encoder.blocks.0.lora_A": ONE},
    "SAM-HQ": lambda plain: {**plain, "mask_decoder.hf_token.weight": ONE},
    "SAM 2": lambda plain: {"image_encoder.trunk.pos_embed": ONE, "memory_attention.a": ONE},
    "parallel wrapper": lambda plain: {f"module.{name}": t for name, t in plain.items()},
    "transformers' names": lambda plain: weights_of(tiny_sam()),
    "2 weights are missing, 1 are not SAM's": lambda plain: {
        "more": ONE, **{name: t for name, t in plain.items() if "blocks.1.norm1" not in name}
    },
    "'image_encoder.pos_embed' is missing": lambda plain: {"backbone.weight": ONE},
    "shapes are not Segment Anything's": lambda plain: {**plain, "image_encoder.pos_embed": ONE},
    "holds no weights by name": lambda plain: list(plain.values()),
    "no weights by name": lambda plain: {},
    "holds no weights": lambda plain: {0: ONE},
}  # fmt: skip


@pytest.mark.parametrize("what", STRANGERS)
def test_what_is_not_plain_sam_is_called_by_its_name(tmp_path, what):
    sam = tiny_sam()
    plain = dict(to_meta(weights_of(sam), sam.model.config))
    torch.save(STRANGERS[what](plain), tmp_path / "other.pth")
    assert what in refusal(tmp_path / "other.pth")


@pytest.mark.parametrize("depth", [2, 4])
def test_a_name_that_tells_another_size_is_not_believed(tmp_path, depth):
    sam, path = tiny_sam(depth=depth), tmp_path / "sam_vit_b_01ec64.pth"
    torch.save(to_meta(weights_of(sam), sam.model.config), path)
    loaded = load_sam(path)
    assert loaded.model.config.vision_config.num_hidden_layers == depth
    assert all(torch.equal(w, weights_of(loaded)[name]) for name, w in weights_of(sam).items())

"""The ONNX graphs in onnxruntime, asked as other tools ask them."""

import sys

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from tiny import tiny_sam

from benchmarks.models import randomize, transformers_sam
from ringsam.cli import main
from ringsam.errors import InputError
from ringsam.export import export_weights, onnx_folder, onnx_graphs
from ringsam.export.onnx_graphs import write_decoder
from ringsam.sam.model import Prompts, Sam
from ringsam.sam.preprocess import Preprocess, logits_to_image
from ringsam.sam.pretrained import new_model
from ringsam.sam.weights import save_folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    save_folder(tiny_sam(), folder / "weights")
    said = export_weights(folder / "weights", to="onnx", out=folder / "onnx")
    assert said.count("IoU of masks 1.0000") == 3
    return folder / "onnx"


def opened(folder, name) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(folder / f"{name}.onnx")


def asked(embedding, points, labels, size, **changes) -> dict[str, np.ndarray]:
    side = 4 * embedding.shape[-1]
    inputs = {
        "image_embeddings": embedding,
        "point_coords": points,
        "point_labels": labels,
        "mask_input": np.zeros((len(points), 1, side, side)),
        "has_mask_input": np.zeros(1),
        "orig_im_size": size,
    }
    return {n: np.asarray(v, dtype=np.float32) for n, v in {**inputs, **changes}.items()}


def test_inputs_and_outputs_are_those_of_segment_anything(exported):
    decoder = opened(exported, "decoder")
    assert [i.name for i in decoder.get_inputs()] == [
        "image_embeddings",
        "point_coords",
        "point_labels",
        "mask_input",
        "has_mask_input",
        "orig_im_size",
    ]
    names = [output.name for output in decoder.get_outputs()]
    assert names == ["masks", "iou_predictions", "low_res_masks"]


def test_every_graph_tells_the_size_it_takes(exported):
    for name in ("encoder", "encoder_pixels", "decoder"):
        told = opened(exported, name).get_modelmeta().custom_metadata_map
        assert told == {"input_size": "64"}


@pytest.mark.parametrize("num_objects", [1, 2, 7])
@pytest.mark.parametrize(("height", "width"), [(30, 90), (200, 11)])
def test_any_number_of_boxes_on_any_image_gives_torchs_masks(exported, num_objects, height, width):
    sam, generator = tiny_sam(), np.random.default_rng(0)
    pixels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    image, frame = Preprocess(64).image(pixels)
    corners = generator.uniform(0, 30, (num_objects, 2, 2)).astype(np.float32)
    boxes = np.concatenate([corners[:, 0], corners[:, 0] + corners[:, 1] + 1], axis=1)
    with torch.inference_mode():
        index = torch.zeros(num_objects, dtype=torch.long)
        expected = sam.decode(sam.encode(image[None]), index, Prompts(boxes=torch.tensor(boxes)))
    embedding = opened(exported, "encoder").run(None, {"image": image[None].numpy()})[0]
    labels = np.tile([2, 3], (num_objects, 1))
    inputs = asked(embedding, boxes.reshape(-1, 2, 2), labels, (height, width))
    masks, iou, low = opened(exported, "decoder").run(None, inputs)
    assert masks.shape == (num_objects, 1, height, width) and iou.shape == (num_objects, 1)
    on_image = logits_to_image(expected.logits, frame)
    for found, wanted in (
        (masks[:, 0], on_image),
        (iou[:, 0], expected.iou),
        (low, expected.logits),
    ):
        assert np.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("num_points", [1, 4])
def test_any_number_of_points_gives_torchs_masks(exported, num_points):
    sam, generator = tiny_sam(), torch.Generator().manual_seed(0)
    embedding = torch.randn(1, 32, 8, 8, generator=generator)
    points = 64 * torch.rand(3, num_points, 2, generator=generator)
    labels = torch.randint(0, 2, (3, num_points), generator=generator)
    with torch.inference_mode():
        index = torch.zeros(3, dtype=torch.long)
        expected = sam.decode(embedding, index, Prompts(points, labels.int())).logits
    padded = np.pad(points.numpy(), ((0, 0), (0, 1), (0, 0)))
    labels = np.pad(labels.numpy(), ((0, 0), (0, 1)), constant_values=-1)
    _, _, low = opened(exported, "decoder").run(None, asked(embedding, padded, labels, (64, 64)))
    assert np.allclose(low, expected, atol=1e-5)


def test_a_mask_given_as_prompt_is_heeded(exported):
    sam, generator = tiny_sam(), torch.Generator().manual_seed(0)
    embedding = torch.randn(1, 32, 8, 8, generator=generator)
    mask = torch.randn(2, 1, 32, 32, generator=generator)
    boxes = torch.tensor([[4.0, 5, 30, 40], [9, 3, 60, 20]])
    plain = new_model(sam.model.config)
    plain.load_state_dict(sam.model.state_dict())
    with torch.inference_mode():
        sparse, dense = plain.prompt_encoder(None, None, boxes[:, None], mask)
        position = plain.get_image_wide_positional_embeddings().expand(2, -1, -1, -1)
        expected = plain.mask_decoder(
            embedding.expand(2, -1, -1, -1), position, sparse, dense, False
        )
    labels, given = [[2, 3], [2, 3]], {"mask_input": mask, "has_mask_input": [1]}
    inputs = asked(embedding, boxes.reshape(-1, 2, 2), labels, (64, 64), **given)
    low = opened(exported, "decoder").run(None, inputs)[2]
    assert np.allclose(low, expected[0][:, 0], atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(64, 40), (20, 64)])
def test_the_pixel_encoder_normalises_and_pads(exported, height, width):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image, _ = Preprocess(64).image(pixels)
    expected = opened(exported, "encoder").run(None, {"image": image[None].numpy()})[0]
    given = {"input_image": pixels.astype(np.float32)}
    assert np.allclose(opened(exported, "encoder_pixels").run(None, given)[0], expected, atol=1e-5)


def test_graphs_of_other_weights_are_removed_with_exit_code_4(tmp_path, monkeypatch, capsys):
    def write_mutated(sam, path):
        other = tiny_sam()
        with torch.no_grad():
            other.model.mask_decoder.mask_tokens.weight.mul_(-1)
        write_decoder(other, path)

    save_folder(tiny_sam(), tmp_path / "weights")
    capsys.readouterr()
    monkeypatch.setattr(onnx_folder, "write_decoder", write_mutated)
    arguments = [
        "export",
        str(tmp_path / "weights"),
        "--to",
        "onnx",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(arguments) == 4
    said = capsys.readouterr()
    assert "largest difference of a logit" in said.err and said.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


@pytest.mark.slow
def test_weights_too_large_for_a_file_lie_beside_it(tmp_path, monkeypatch):
    save_folder(tiny_sam(), tmp_path / "weights")
    monkeypatch.setattr(onnx_graphs, "_LARGEST_FILE", 0)
    said = export_weights(tmp_path / "weights", to="onnx", out=tmp_path / "out")
    assert said.count("IoU of masks 1.0000") == 3
    graphs = [f"{name}.onnx" for name in ("decoder", "encoder", "encoder_pixels")]
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"README.md", "SHA256SUMS", *graphs, *(f"{name}.data" for name in graphs)}


def test_without_the_extra_the_mend_is_named(tmp_path, monkeypatch):
    save_folder(tiny_sam(), tmp_path / "weights")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r'install -c constraints.txt "\.\[onnx\]"'):
        export_weights(tmp_path / "weights", to="onnx", out=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]


@pytest.mark.slow
def test_annotation_tools_find_their_files_and_get_a_mask(tmp_path):
    """As AnyLabeling asks: RGB scaled into 1024 x 684, a box as two points with an empty one behind."""
    sam = Sam(randomize(transformers_sam("small"), seed=0))
    save_folder(sam, tmp_path / "weights")
    export_weights(tmp_path / "weights", to="onnx", out=tmp_path / "onnx")
    description = yaml.safe_load((tmp_path / "onnx" / "sam.yaml").read_text())
    assert description["type"] == "segment_anything"
    encoder, decoder = (
        onnxruntime.InferenceSession(tmp_path / "onnx" / description[f"{part}_model_path"])
        for part in ("encoder", "decoder")
    )
    scaled = np.random.default_rng(0).uniform(0, 255, (684, 1024, 3)).astype(np.float32)
    embedding = encoder.run(None, {encoder.get_inputs()[0].name: scaled})[0]
    assert embedding.shape == (1, 256, 64, 64)
    points, labels = [[[100, 90], [700, 500], [0, 0]]], [[2, 3, -1]]
    masks, _, _ = decoder.run(None, asked(embedding, points, labels, (684, 1024)))
    assert masks.shape == (1, 1, 684, 1024) and np.isfinite(masks).all()

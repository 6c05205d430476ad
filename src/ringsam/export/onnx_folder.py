"""`ringsam export --to onnx`: encoder, decoder and a description for annotation tools, run and compared."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml
from PIL import Image
from torch import Tensor

from ringsam.errors import InputError, how_to_install
from ringsam.export.checks import (
    Logits,
    Parity,
    Question,
    answer,
    compare,
    question,
    refuse_other_masks,
)
from ringsam.export.onnx_graphs import write_decoder, write_encoder, write_pixel_encoder
from ringsam.export.source import Source
from ringsam.sam.model import Prompts
from ringsam.sam.preprocess import logits_to_image

Values = npt.NDArray[np.float32]
_ANNOTATION_SIZE = 1024  # what annotation tools scale images to, whatever the description says


def write_onnx(source: Source, folder: Path) -> list[Parity]:
    """Write the graphs and `sam.yaml`; raises ExportDiffers where onnxruntime makes other masks of them than torch."""
    onnxruntime, sam = _onnxruntime(), source.sam
    folder.mkdir()
    write_encoder(sam, folder / "encoder.onnx")
    write_pixel_encoder(sam, folder / "encoder_pixels.onnx")
    write_decoder(sam, folder / "decoder.onnx")
    if sam.input_size == _ANNOTATION_SIZE:
        _describe(folder / "sam.yaml")
    open_graph = partial(onnxruntime.InferenceSession, providers=["CPUExecutionProvider"])
    encoder, pixel_encoder, decoder = (
        open_graph(folder / f"{name}.onnx") for name in ("encoder", "encoder_pixels", "decoder")
    )
    asked, expected = question(sam.input_size), answer(sam)
    scaled = Image.fromarray(asked.pixels).resize(
        (asked.frame.width, asked.frame.height), Image.Resampling.BILINEAR
    )
    embedding = encoder.run(None, {"image": asked.image.numpy()})[0]
    of_pixels = pixel_encoder.run(None, {"input_image": np.asarray(scaled, dtype=np.float32)})[0]
    masks, low = _decode(decoder, embedding, asked)
    on_image = logits_to_image(expected, asked.frame)[:, None]
    parities = [
        compare("encoder.onnx and decoder.onnx", expected, low),
        compare("their masks on the image", on_image, masks),
        compare("encoder_pixels.onnx", expected, _decode(decoder, of_pixels, asked)[1]),
    ]
    return [refuse_other_masks(parity) for parity in parities]


def _decode(decoder: Any, embedding: Values, asked: Question) -> tuple[Tensor, Logits]:
    """Masks on the image and at a quarter of the input frame, of every prompt."""
    answers = [decoder.run(None, _inputs(embedding, p, asked)) for p in asked.prompts()]
    masks, _, low = (torch.from_numpy(np.concatenate(part)) for part in zip(*answers, strict=True))
    return masks, low


def _inputs(embedding: Values, prompts: Prompts, asked: Question) -> dict[str, Values]:
    """Boxes as two points, points with one that is none behind them: as `segment_anything` asks its own graph."""
    num, side = len(asked.boxes), 4 * embedding.shape[-1]
    if prompts.boxes is not None:
        points, labels = prompts.boxes.reshape(num, 2, 2).numpy(), [2.0, 3.0]
    else:
        assert prompts.points is not None
        points, labels = np.pad(prompts.points.numpy(), ((0, 0), (0, 1), (0, 0))), [1.0, -1.0]
    height, width = asked.pixels.shape[:2]
    return {
        "image_embeddings": embedding,
        "point_coords": points,
        "point_labels": np.tile(np.array(labels, dtype=np.float32), (num, 1)),
        "mask_input": np.zeros((num, 1, side, side), dtype=np.float32),
        "has_mask_input": np.zeros(1, dtype=np.float32),
        "orig_im_size": np.array([height, width], dtype=np.float32),
    }


def _describe(path: Path) -> None:
    """The YAML that AnyLabeling and X-AnyLabeling load as a custom model."""
    description = {
        "type": "segment_anything",
        "name": "ringsam",
        "display_name": "ringsam",
        "encoder_model_path": "encoder_pixels.onnx",
        "decoder_model_path": "decoder.onnx",
        "input_size": _ANNOTATION_SIZE,
        "max_width": _ANNOTATION_SIZE,
        "max_height": 682,
    }
    path.write_text(yaml.safe_dump(description, sort_keys=False), encoding="utf-8")


def _onnxruntime() -> Any:
    """Imported late, for it is an extra; raises InputError where that is not installed."""
    try:
        import onnx  # noqa: F401, what torch writes graphs with
        import onnxruntime
    except ImportError as error:
        raise InputError(f"--to onnx needs its extra; {how_to_install('onnx')}") from error
    return onnxruntime

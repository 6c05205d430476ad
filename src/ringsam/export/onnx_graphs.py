"""SAM as ONNX graphs, with the inputs and outputs of `segment_anything`'s own export."""

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from transformers import SamModel

from ringsam.sam.model import Embedding, Sam
from ringsam.sam.preprocess import PIXEL_MEAN, PIXEL_STD, upsample
from ringsam.sam.pretrained import new_model

_OPSET = 17
_LARGEST_FILE = 2_000_000_000  # bytes; protobuf ends at 2 GiB


def _plain(sam: Sam) -> SamModel:
    """The same weights in transformers' own model."""
    model = new_model(sam.model.config)
    model.load_state_dict(sam.model.state_dict())
    return model


class Encoder(nn.Module):
    """A preprocessed image, normalised and padded, to its embedding, by transformers' own attention: ours is no graph."""

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.encoder, self.input_size = _plain(sam).vision_encoder, sam.input_size

    def forward(self, image: Float[Tensor, "1 3 s s"]) -> Embedding:
        embedding: Tensor = self.encoder(image).last_hidden_state
        return embedding


class PixelEncoder(nn.Module):
    """RGB 0..255 whose longer side is the input size, to its embedding; normalises and pads."""

    mean: Tensor
    std: Tensor

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.encoder, self.input_size = Encoder(sam), sam.input_size
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN))
        self.register_buffer("std", torch.tensor(PIXEL_STD))

    def forward(self, pixels: Float[Tensor, "height width 3"]) -> Embedding:
        image = ((pixels - self.mean) / self.std).permute(2, 0, 1)[None]
        (height, width), size = pixels.shape[:2], self.input_size
        embedding: Tensor = self.encoder(F.pad(image, (0, size - width, 0, size - height)))
        return embedding


class Decoder(nn.Module):
    """Points to masks in the image's own pixels, with the inputs of `segment_anything`'s SamOnnxModel.

    A box is two points, labelled 2 and 3; -1 labels a point that is none. There is one mask an object, SAM's single mask.
    It is transformers' own decoder: ours takes no mask as prompt.
    """

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.model, self.input_size = _plain(sam), sam.input_size

    def forward(
        self,
        image_embeddings: Embedding,
        point_coords: Float[Tensor, "n p 2"],
        point_labels: Float[Tensor, "n p"],
        mask_input: Float[Tensor, "n 1 h w"],
        has_mask_input: Float[Tensor, "1"],
        orig_im_size: Float[Tensor, "2"],
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Masks (n, 1, height, width), predicted IoU (n, 1) and the masks at a quarter of the input frame, all logits."""
        num_objects = point_coords.shape[0]
        position = self.model.get_image_wide_positional_embeddings()
        logits, iou = self.model.mask_decoder(
            image_embeddings=image_embeddings.expand(num_objects, -1, -1, -1),
            image_positional_embeddings=position.expand(num_objects, -1, -1, -1),
            sparse_prompt_embeddings=self._embed_points(point_coords, point_labels)[:, None],
            dense_prompt_embeddings=self._embed_mask(mask_input, has_mask_input),
            multimask_output=False,
        )
        return self._on_image(logits[:, 0], orig_im_size), iou[:, 0], logits[:, 0]

    def _embed_points(self, points: Tensor, labels: Tensor) -> Tensor:
        encoder = self.model.prompt_encoder
        embedded: Tensor = encoder.shared_embedding((points + 0.5)[:, None] / self.input_size)[:, 0]
        embedded = embedded * (labels != -1)[..., None]
        for label, table in enumerate([encoder.not_a_point_embed, *encoder.point_embed], start=-1):
            embedded = embedded + table.weight * (labels == label)[..., None]
        return embedded  # (n, p, c)

    def _embed_mask(self, mask: Tensor, has_mask: Tensor) -> Tensor:
        encoder = self.model.prompt_encoder
        without = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
        embedded: Tensor = has_mask * encoder.mask_embed(mask) + (1 - has_mask) * without
        return embedded

    def _on_image(self, logits: Tensor, image_size: Tensor) -> Tensor:
        """As `logits_to_image`, but the sizes are read from a tensor when the graph runs."""
        scaled = torch.floor(image_size * (self.input_size / image_size.max()) + 0.5)
        height, width = scaled.to(torch.int64).clamp(min=1)
        on_frame = upsample(logits, self.input_size)[:, None, :height, :width]
        size = tuple(image_size.to(torch.int64))
        return F.interpolate(on_frame, size, mode="bilinear", align_corners=False)


def write_encoder(sam: Sam, path: Path) -> None:
    size = sam.input_size
    _write(Encoder(sam), (torch.zeros(1, 3, size, size),), path, ["image"], ["image_embeddings"])


def write_pixel_encoder(sam: Sam, path: Path) -> None:
    pixels = torch.zeros(sam.input_size * 2 // 3, sam.input_size, 3)
    sides = {"input_image": {0: "height", 1: "width"}}
    _write(PixelEncoder(sam), (pixels,), path, ["input_image"], ["image_embeddings"], sides)


def write_decoder(sam: Sam, path: Path) -> None:
    """For any number of objects on one image, any number of points an object."""
    objects = {0: "num_objects"}
    points = {**objects, 1: "num_points"}
    inputs = {
        "image_embeddings": torch.zeros(1, sam.embedding_dim, sam.grid, sam.grid),
        "point_coords": torch.zeros(2, 3, 2),
        "point_labels": torch.ones(2, 3),
        "mask_input": torch.zeros(2, 1, 4 * sam.grid, 4 * sam.grid),
        "has_mask_input": torch.zeros(1),
        "orig_im_size": torch.full((2,), float(sam.input_size)),
    }
    outputs = ["masks", "iou_predictions", "low_res_masks"]
    dynamic = {"point_coords": points, "point_labels": points, "mask_input": objects}
    dynamic |= dict.fromkeys(outputs[1:], objects)
    dynamic |= {"masks": {**objects, 2: "height", 3: "width"}}
    _write(Decoder(sam), tuple(inputs.values()), path, list(inputs), outputs, dynamic)


def _write(
    module: Encoder | PixelEncoder | Decoder,
    examples: tuple[Tensor, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    dynamic: dict[str, dict[int, str]] | None = None,
) -> None:
    """By tracing: sizes that an input tensor states stay open, which torch's newer exporter takes minutes for.

    The graph's metadata tell the `input_size`. Weights too large for one file of protobuf lie beside it, in `NAME.onnx.data`.
    """
    import onnx  # an extra

    num_bytes = sum(weight.numel() * weight.element_size() for weight in module.parameters())
    with TemporaryDirectory(dir=path.parent) as scratch:  # torch scatters what is too large there
        traced = Path(scratch) / path.name
        with warnings.catch_warnings(), torch.no_grad():
            # A tracer's doubts: what it writes is run and compared
            warnings.simplefilter("ignore")
            torch.onnx.export(
                module.eval(),
                examples,
                str(traced),
                input_names=inputs,
                output_names=outputs,
                dynamic_axes=dynamic,
                opset_version=_OPSET,
                dynamo=False,
            )
        beside = num_bytes > _LARGEST_FILE
        graph, data = onnx.load(traced), f"{path.name}.data"
        onnx.helper.set_model_props(graph, {"input_size": str(module.input_size)})
        onnx.save_model(graph, path, save_as_external_data=beside, location=data)

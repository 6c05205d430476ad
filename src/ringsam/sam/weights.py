"""Weights in and out: hub name, transformers folder, Meta's .pth, the bundled nano."""

import pickle
import pickletools
import re
import zipfile
from collections.abc import Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
import transformers
from torch import Tensor
from transformers import SamConfig, SamModel

from ringsam.digests import digest_file, digest_line
from ringsam.errors import InputError
from ringsam.runs import RunFolder
from ringsam.sam import meta_layout
from ringsam.sam.model import Sam
from ringsam.sam.preprocess import PIXEL_MEAN, PIXEL_STD
from ringsam.sam.pretrained import empty_model, load_folder, load_hub, new_model, quietly

NANO = Path(__file__).parent.parent / "assets" / "nano"
_OLD_FORMAT_PICKLES = 5  # one behind the other, before the numbers
_LONGEST_NAME = 1000  # letters, of a function; torch's own have some 30
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w-]*/[\w.-]+(?<!\.pth)")


def load_sam(weights: str | Path, *, input_size: int | None = None) -> Sam:
    """SAM from `nano`, a run, a transformers folder, a Meta .pth or a hub name, in fp32, on the CPU.

    Another `input_size` than the model's own resizes the position tables. Raises InputError for what
    cannot be found, read or recognised.
    """
    path = NANO if str(weights) == "nano" else Path(weights)
    if RunFolder(path).is_run():
        path = _adapted(RunFolder(path))
    if path.is_dir():
        model = load_folder(path)
    elif path.is_file():
        model = _load_meta(path)
    elif _HUB_NAME.fullmatch(str(weights)):
        model = load_hub(str(weights))
    else:
        mend = "give `nano`, a run, a transformers folder, a .pth, or a hub name as facebook/sam-vit-base"
        raise InputError(f"{weights}: no such file or folder; {mend}")
    return Sam(resized(model, input_size) if input_size else model)


def save_folder(sam: Sam, folder: Path) -> None:
    """A folder that `SamModel.from_pretrained` and `SamProcessor.from_pretrained` load, with a digest beside the weights."""
    with quietly():
        sam.model.save_pretrained(folder)
        _processor(sam.input_size).save_pretrained(folder)
    for path in folder.glob("*.safetensors"):
        digest_file(path).write_text(digest_line(path, named=path.name), encoding="utf-8")


def save_meta(sam: Sam, path: Path) -> None:
    """A .pth in Meta's layout, for `segment_anything` and everything built on it."""
    torch.save(meta_layout.to_meta(sam.model.state_dict(), sam.model.config), path)


def _processor(input_size: int) -> transformers.SamProcessor:
    image_processor = transformers.SamImageProcessor(
        size={"longest_edge": input_size},
        pad_size={"height": input_size, "width": input_size},
        mask_size={"longest_edge": input_size // 4},
        mask_pad_size={"height": input_size // 4, "width": input_size // 4},
        image_mean=[value / 255 for value in PIXEL_MEAN],
        image_std=[value / 255 for value in PIXEL_STD],
    )
    return transformers.SamProcessor(image_processor)


def resized(model: SamModel, input_size: int) -> SamModel:
    """The same weights for another input size: position tables are interpolated, as SAM's ViT does for its own."""
    config = model.config
    patch = config.vision_config.patch_size
    if input_size % patch:
        raise InputError(f"input_size {input_size}: must be a multiple of the patch size, {patch}")
    if input_size == config.vision_config.image_size:
        return model
    values = config.to_dict()
    values["vision_config"]["image_size"] = input_size
    prompts = values["prompt_encoder_config"]
    prompts.update(image_size=input_size, image_embedding_size=input_size // patch)
    new = new_model(SamConfig(**values))
    wanted = new.state_dict()
    state = {name: _fit(tensor, wanted[name].shape) for name, tensor in model.state_dict().items()}
    new.load_state_dict(state)
    return new


def read_pth(path: Path) -> Mapping[str, Any]:
    """What a .pth holds by name, tensors or nests of them; nothing in it is run. Raises InputError for damaged or hostile files."""
    try:
        _refuse_altered(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except pickle.UnpicklingError as error:
        mend = "ringsam loads tensors only; get the file from where you trust it"
        raise InputError(
            f"{path}: refused, it holds more than tensors or is damaged; {mend}"
        ) from error
    except Exception as error:  # on damaged bytes torch's reader stumbles in many ways
        raise InputError(f"{path}: cannot be read as weights ({error}); copy it again") from error
    if not isinstance(state, dict) or not state or not all(isinstance(n, str) for n in state):
        raise InputError(f"{path}: holds no weights by name")
    return state


def _refuse_altered(path: Path) -> None:
    """Compare the file's own checksums, which torch writes but does not look at (it never compresses), and the names in its pickle."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
                raise InputError(f"{path}: refused, it unpacks to more than it is; copy it again")
            altered = archive.testzip()
            if altered:
                raise InputError(f"{path}: damaged, {altered} in it was altered; copy it again")
            for name in archive.namelist():
                if name.endswith("data.pkl"):
                    _refuse_long_names(path, archive.read(name))
        return
    with path.open("rb") as file:
        for _ in range(_OLD_FORMAT_PICKLES):
            if file.peek(1):  # else it is none of torch's, which has a word of its own for that
                _refuse_long_names(path, file)


def _refuse_long_names(path: Path, pickled: bytes | BufferedReader) -> None:
    """What torch has to say about a function that it refuses, it searches in the square of the time of its name."""
    for opcode, argument, _ in pickletools.genops(pickled):
        if opcode.name == "GLOBAL" and len(str(argument)) > _LONGEST_NAME:
            raise InputError(
                f"{path}: refused, it names a function in {len(str(argument))} letters"
            )


def _adapted(run: RunFolder) -> Path:
    if not run.adapted.is_dir():
        mend = f"finish it with `ringsam resume {run.path}`"
        raise InputError(
            f"{run.path}: the run has not finished, so it has no adapted weights; {mend}"
        )
    return run.adapted


def _load_meta(path: Path) -> SamModel:
    state = read_pth(path)
    if what := meta_layout.looks_like(state):
        raise InputError(f"{path}: this is not plain SAM but {what}")
    try:
        config = meta_layout.config_from_meta(state)
        shapes = {name: weight.shape for name, weight in empty_model(config).state_dict().items()}
        depth = config.mask_decoder_config.iou_head_depth
        named = meta_layout.from_meta(state, list(shapes), iou_head_depth=depth)
        _refuse_other_shapes(named, shapes)
        model = new_model(config)
        model.load_state_dict(named)
    except KeyError as error:
        raise InputError(f"{path}: not Segment Anything's weights: {error} is missing") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (ArithmeticError, LookupError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: shapes are not Segment Anything's: {error}") from error
    return model


def _refuse_other_shapes(state: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> None:
    """Raises ValueError for a weight of another shape, or of more values than the file has for it."""
    for name, weight in state.items():
        if weight.shape != shapes[name]:
            raise ValueError(f"{name} is {tuple(weight.shape)}, not {tuple(shapes[name])}")
        if weight.nbytes > weight.untyped_storage().nbytes():
            raise ValueError(f"{name} declares more values than it has")


def _fit(tensor: Tensor, shape: torch.Size) -> Tensor:
    if tensor.shape == shape:
        return tensor
    if tensor.dim() == 4:  # absolute positions (1, h, w, c)
        image = tensor.permute(0, 3, 1, 2)
        return F.interpolate(image, shape[1:3], mode="bicubic", antialias=False).permute(0, 2, 3, 1)
    table = tensor.T[None]  # relative positions (2 * side - 1, c) of a global block
    return F.interpolate(table, shape[0], mode="linear")[0].T

"""A SamModel as transformers keeps it: a folder, or a name on the hub."""

import contextlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch
from huggingface_hub import constants, try_to_load_from_cache
from safetensors import safe_open
from transformers import SamConfig, SamModel
from transformers.utils import logging

from ringsam.digests import digest_file, is_as_written
from ringsam.errors import InputError

HUB_TIMEOUT_S = 10
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_WITHOUT_NETWORK = (
    "download it where there is a network and pass its folder with --weights, "
    "or copy that machine's cache (HF_HOME) and set HF_HUB_OFFLINE=1"
)
DECODER_NORM_EPS = 1e-5  # Meta's; transformers says 1e-6, which moves masks by 5e-4
MAX_PARTS = 128  # the largest SAM has 32 blocks
# Values that fit any memory, so that what is wrong with them can be told better later
HARMLESS = 1 << 25


def load_folder(folder: Path) -> SamModel:
    if not (folder / "config.json").is_file():
        raise InputError(
            f"{folder}: no config.json; give a transformers folder of a SamModel, or a .pth"
        )
    for path in folder.glob("*.safetensors"):
        if digest_file(path).is_file() and not is_as_written(path):
            raise InputError(
                f"{path}: was cut or altered after it was written (sha256 differs); copy the folder again"
            )
    return _load(str(folder), mend="copy the folder again")


def load_hub(name: str) -> SamModel:
    """From the cache of earlier downloads, else from the hub; raises InputError at once where it does not answer."""
    cached = any(isinstance(try_to_load_from_cache(name, file), str) for file in _WEIGHTS)
    if not cached:
        _refuse_unreachable_hub(name)
    mend = f"check the name and its licence, or {_WITHOUT_NETWORK}"
    return _load(name, mend=mend, local_files_only=cached)


def _refuse_unreachable_hub(name: str) -> None:
    """One question, without the hub library's retries."""
    if constants.HF_HUB_OFFLINE:
        reason = "is not in the cache, and HF_HUB_OFFLINE forbids to ask the hub"
        raise InputError(f"{name}: {reason}; {_WITHOUT_NETWORK}")
    try:
        with contextlib.suppress(HTTPError):  # any answer is one
            urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=HUB_TIMEOUT_S).close()
    except OSError as error:
        reason = f"is not in the cache, and {constants.ENDPOINT} does not answer ({error})"
        raise InputError(f"{name}: {reason}; {_WITHOUT_NETWORK}") from error


def new_model(config: SamConfig) -> SamModel:
    config.mask_decoder_config.layer_norm_eps = DECODER_NORM_EPS
    return SamModel(config).eval()


def empty_model(config: SamConfig) -> SamModel:
    """The names and shapes of the weights, and no memory for them: a header of a few bytes can declare any size.

    Raises ValueError where it would have more parts than any SAM.
    """
    decoder = config.mask_decoder_config
    most = max(
        config.vision_config.num_hidden_layers,
        decoder.num_hidden_layers,
        decoder.iou_head_depth,
        decoder.num_multimask_outputs,
    )
    if most > MAX_PARTS:
        raise ValueError(f"it would have {most} blocks or layers, more than {MAX_PARTS}")
    with torch.device("meta"):
        return SamModel(config)


def _refuse_larger_than_its_files(config: SamConfig, folder: Path) -> None:
    """Raises ValueError where config.json declares more numbers than the files of weights have bytes."""
    files = [*folder.glob("*.safetensors"), *folder.glob("*.bin")]
    num_bytes = sum(path.stat().st_size for path in files)
    num_values = sum(weight.numel() for weight in empty_model(config).state_dict().values())
    if num_values > max(num_bytes, HARMLESS):
        raise ValueError(
            f"config.json tells of {num_values} weights, the files have {num_bytes} bytes"
        )


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without transformers' progress bars and its hints on torchvision, which ringsam does without."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _load(source: str, *, mend: str, local_files_only: bool = True) -> SamModel:
    try:
        with quietly():
            values, _ = SamConfig.get_config_dict(source, local_files_only=local_files_only)
            _refuse_other_models(values, source)
            for path in Path(source).glob("*.safetensors"):
                with safe_open(path, framework="pt"):  # a damaged one is told before SAM is built
                    pass
            config = SamConfig.from_dict(values)
            if Path(source).is_dir():
                _refuse_larger_than_its_files(config, Path(source))
            config.mask_decoder_config.layer_norm_eps = DECODER_NORM_EPS
            model, report = SamModel.from_pretrained(
                source,
                config=config,
                local_files_only=local_files_only,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported below, all of them
            )
    except InputError:
        raise
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{source}: refused, its weights hold more than tensors or are damaged; {mend}"
        ) from error
    except Exception as error:  # damaged files raise whatever their many readers stumble over
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{source}: no SAM could be loaded ({reason}); {mend}") from error
    _refuse_incomplete(report, source)
    return model.eval()


def _refuse_other_models(values: dict[str, object], source: str) -> None:
    is_sam = values.get("model_type") == "sam"
    if not is_sam or values.get("architectures") not in (None, ["SamModel"]):
        found = f"{values.get('model_type')!r}, {values.get('architectures')}"
        raise InputError(
            f"{source}: is not a SamModel but {found}; ringsam adapts the first Segment Anything"
        )


def _refuse_incomplete(report: dict[str, Any], source: str) -> None:
    missing = sorted(report["missing_keys"])
    misshapen = sorted(name for name, *_ in report["mismatched_keys"])
    if missing:
        raise InputError(
            f"{source}: {len(missing)} of SAM's weights are missing, {missing[0]} among them"
        )
    if misshapen:
        raise InputError(
            f"{source}: {len(misshapen)} weights have not the shape that config.json says, "
            f"{misshapen[0]} among them"
        )

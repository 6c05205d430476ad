"""Meta's `segment_anything` layout: the same weights under other names, recognised by their shapes."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from torch import Tensor
from transformers import SamConfig, SamMaskDecoderConfig, SamPromptEncoderConfig, SamVisionConfig

from ringsam.errors import InputError

State = Mapping[str, Tensor]

# transformers -> Meta, tried in order on the names of one part of the model.
_RENAMES = {
    "vision_encoder.": [
        (r"^vision_encoder\.", "image_encoder."),
        (r"patch_embed\.projection", "patch_embed.proj"),
        (r"\.layers\.(\d+)\.layer_norm([12])", r".blocks.\1.norm\2"),
        (r"\.layers\.", ".blocks."),
        (r"neck\.conv1", "neck.0"),
        (r"neck\.layer_norm1", "neck.1"),
        (r"neck\.conv2", "neck.2"),
        (r"neck\.layer_norm2", "neck.3"),
    ],
    "prompt_encoder.": [
        (r"\.point_embed\.", ".point_embeddings."),
        (r"mask_embed\.conv1", "mask_downscaling.0"),
        (r"mask_embed\.layer_norm1", "mask_downscaling.1"),
        (r"mask_embed\.conv2", "mask_downscaling.3"),
        (r"mask_embed\.layer_norm2", "mask_downscaling.4"),
        (r"mask_embed\.conv3", "mask_downscaling.6"),
    ],
    "mask_decoder.": [
        (r"transformer\.layers\.(\d)\.layer_norm(\d)", r"transformer.layers.\1.norm\2"),
        (r"layer_norm_final_attn", "norm_final_attn"),
        (r"upscale_conv1", "output_upscaling.0"),
        (r"upscale_layer_norm", "output_upscaling.1"),
        (r"upscale_conv2", "output_upscaling.3"),
    ],
}
_POSITION = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
_TRANSFORMER = "mask_decoder.transformer"
_HEADS = re.compile(r"output_hypernetworks_mlps|iou_prediction_head")


def meta_name(name: str, *, iou_head_depth: int = 3) -> str:
    """Meta's name of a `transformers.SamModel` weight."""
    if name.endswith("positional_embedding"):
        return _POSITION
    part = name.split(".")[0] + "."
    for pattern, replacement in _RENAMES[part]:
        name = re.sub(pattern, replacement, name)
    if _HEADS.search(name):
        depth = iou_head_depth if "iou_prediction_head" in name else 3
        name = re.sub(r"\.layers\.(\d+)\.", lambda match: f".layers.{int(match[1]) + 1}.", name)
        name = name.replace("proj_in", "layers.0").replace("proj_out", f"layers.{depth - 1}")
    return name


def to_meta(state: State, config: SamConfig) -> OrderedDict[str, Tensor]:
    """A SamModel state under Meta's names; the one thing that no shape tells goes to the state's metadata."""
    decoder = config.mask_decoder_config
    named: OrderedDict[str, Tensor] = OrderedDict(
        (meta_name(name, iou_head_depth=decoder.iou_head_depth), tensor)
        for name, tensor in state.items()
    )
    # `load_state_dict` passes over entries for modules that do not ask for them.
    named._metadata = {_TRANSFORMER: {"num_heads": decoder.num_attention_heads}}  # type: ignore[attr-defined]
    return named


def from_meta(state: State, names: list[str], *, iou_head_depth: int = 3) -> dict[str, Tensor]:
    """A Meta state under the given SamModel names. Raises InputError that lists what is missing or left over."""
    meta_names = {name: meta_name(name, iou_head_depth=iou_head_depth) for name in names}
    missing = sorted(set(meta_names.values()) - set(state))
    extra = sorted(set(state) - set(meta_names.values()))
    if missing or extra:
        rows = [f"  missing: {name}" for name in missing[:5]]
        rows += [f"  not SAM's: {name}" for name in extra[:5]]
        counts = f"{len(missing)} weights are missing, {len(extra)} are not SAM's"
        raise InputError(f"not Segment Anything's weights: {counts}", rows)
    return {name: state[meta] for name, meta in meta_names.items()}


def config_from_meta(state: State) -> SamConfig:
    """The architecture, read from the shapes; the decoder has Meta's 8 heads where the metadata names no other."""
    num_heads = getattr(state, "_metadata", {}).get(_TRANSFORMER, {}).get("num_heads", 8)
    blocks = [
        name for name in state if re.fullmatch(r"image_encoder\.blocks\.\d+\.attn\.rel_pos_h", name)
    ]
    tables = [state[f"image_encoder.blocks.{i}.attn.rel_pos_h"] for i in range(len(blocks))]
    _, grid, _, hidden = state["image_encoder.pos_embed"].shape
    patch = state["image_encoder.patch_embed.proj.weight"].shape[-1]
    windows = [(len(table) + 1) // 2 for table in tables]
    channels = state["image_encoder.neck.0.weight"].shape[0]
    tokens = state["mask_decoder.mask_tokens.weight"].shape[0]
    iou_layers = [
        n
        for n in state
        if re.fullmatch(r"mask_decoder\.iou_prediction_head\.layers\.\d+\.weight", n)
    ]
    attention = state["mask_decoder.transformer.final_attn_token_to_image.q_proj.weight"].shape[0]
    vision = SamVisionConfig(
        hidden_size=hidden,
        output_channels=channels,
        num_hidden_layers=len(tables),
        num_attention_heads=hidden // tables[0].shape[1],
        image_size=grid * patch,
        patch_size=patch,
        # A window may be larger than a small grid; where all blocks see the whole grid, either does.
        window_size=next((window for window in windows if window != grid), grid),
        global_attn_indexes=[i for i, window in enumerate(windows) if window == grid],
        mlp_dim=state["image_encoder.blocks.0.mlp.lin1.weight"].shape[0],
        num_pos_feats=channels // 2,
    )
    return SamConfig(
        vision_config=vision,
        prompt_encoder_config=SamPromptEncoderConfig(
            hidden_size=channels,
            image_size=grid * patch,
            patch_size=patch,
            mask_input_channels=state["prompt_encoder.mask_downscaling.3.weight"].shape[0],
        ),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=channels,
            num_attention_heads=num_heads,
            mlp_dim=state["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
            attention_downsample_rate=channels // attention,
            num_multimask_outputs=tokens - 1,
            iou_head_depth=len(iou_layers),
            iou_head_hidden_dim=state["mask_decoder.iou_prediction_head.layers.0.weight"].shape[0],
        ),
    )


def looks_like(state: Mapping[str, Any]) -> str | None:
    """What a file that is not plain SAM seems to be, in words; None for SAM itself."""
    signs = {
        "a checkpoint of several parts (its weights are nested)": lambda n: (
            not hasattr(state[n], "shape")
        ),
        "LoRA weights; merge them into SAM first": lambda n: "lora_" in n.lower(),
        "transformers' names for it; give the folder with its config.json": lambda n: n.startswith(
            "vision_encoder."
        ),
        "SAM-HQ": lambda n: "hf_token" in n or "compress_vit_feat" in n,
        "SAM 2": lambda n: n.startswith(
            ("image_encoder.trunk.", "memory_attention.", "sam_mask_decoder.")
        ),
        "saved from a parallel wrapper (names start with `module.`)": lambda n: n.startswith(
            "module."
        ),
    }
    return next((what for what, sign in signs.items() if any(sign(name) for name in state)), None)

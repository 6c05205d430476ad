"""Every setting, typed, with the seed method's own defaults; one name from flag to file to log key.

No torch in here: the command line answers `--help` from these classes.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass

from ringsam.errors import InputError
from ringsam.plain_yaml import read_plain_yaml

RECIPES = Path(__file__).parent / "recipes"
DEFAULT_RECIPE = "best"

Fraction = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
PositiveInt = Annotated[int, Field(gt=0, lt=2**63)]
Seed = Annotated[int, Field(ge=-(2**63), lt=2**63)]  # what torch's generators take
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
OnBad = Literal["stop", "skip"]
PromptPolicy = Literal["ring", "box", "box+core"]
Refinement = Literal["none", "big_box", "both_boxes"]
MaskFormat = Literal["coco", "png", "labels", "yolo", "geojson"]
ExportFormat = Literal["hf", "meta", "onnx", "lora"]
TrainingPrompts = Literal["ring", "box", "box+core", "mixed"]
Kept = Literal["student", "teacher"]

STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, kw_only=True, config=STRICT)
class MethodConfig:
    """The method: prompts, trust, contrast, losses."""

    prompts: TrainingPrompts = "ring"
    """What teacher and student are asked with: ring points, the big box, the big box and points in the small one, or now
    the one and now the other of these two."""
    num_points: PositiveInt = 10
    """Points per object, for `ring`, `box+core` and `mixed`."""
    entropy_thresh: Weight = 0.2
    """An object is trusted when the mean binary entropy of its mask, in nats, is at most this."""
    random_orientation: bool = False
    """Augmentation by flips and quarter turns: each epoch shows every image in one of its eight orientations, drawn anew."""
    unfreeze_last_k: Count = 0
    """Train the last K transformer blocks of the encoder; 0 trains all of it."""
    train_neck: bool = True
    """With K > 0: train the encoder's neck too."""
    ema_decay: Fraction = 0.999
    """teacher = ema_decay * teacher + (1 - ema_decay) * student, after every optimizer step."""
    kept: Kept = "student"
    """Whose encoder is judged and kept: the student's, whose rates fall as a cosine, or the teacher's, the mean of a student whose rates stay."""
    proj_dim: PositiveInt = 64
    """Channels of the projection in which pixels are contrasted."""
    pos_samples: PositiveInt = 256
    """Anchors per object, at most."""
    neg_samples: PositiveInt = 1024
    """Negatives per object, at most."""
    gather_negatives: bool = True
    """Share the negatives among all ranks, not only within one."""
    temperature: Rate = 0.1
    """InfoNCE temperature."""
    alpha: Weight = 1.0
    """Weight of the contrast loss."""
    beta: Weight = 0.5
    """Weight of the IoU monitor in the logged total; it trains nothing."""
    gamma: Weight = 0.1
    """Weight of the distillation to the original encoder."""
    self_training: Weight = 0.0
    """Weight of the student's masks, through the frozen decoder, against targets from teacher, boxes and colours."""
    colour_vote: Fraction = 0.0
    """Share of the colour model (GrabCut seeded by the two boxes) in those targets; the teacher has what is left."""
    shape_vote: Fraction = 0.0
    """Share of the place alone: an ellipse half way between the two boxes, with soft edges."""
    colour_evidence: Weight = 0.0
    """How far the targets follow the object's own colours, modelled from what the votes believe: factor of their log odds."""
    pixel_contrast: Weight = 0.0
    """Weight of the contrast of each object's pixels, inside the frozen decoder, with the background around them."""
    box_constraint: Weight = 0.0
    """Weight of what the boxes know for certain: object in the small box, background outside the big one."""

    @model_validator(mode="after")
    def _votes_leave_the_teacher_a_share(self) -> "MethodConfig":
        if self.colour_vote + self.shape_vote > 1:
            votes = (
                f"method.colour_vote {self.colour_vote:g} and method.shape_vote {self.shape_vote:g}"
            )
            raise ValueError(f"{votes}: shares, together at most 1; lower one")
        return self

    @model_validator(mode="after")
    def _a_kept_teacher_learns(self) -> "MethodConfig":
        if self.kept == "teacher" and self.ema_decay == 1:
            raise ValueError(
                "method.kept teacher: with method.ema_decay 1 it never moves; take 0.97"
            )
        return self

    @property
    def trains_masks(self) -> bool:
        """Whether any term goes through the frozen decoder; in the seed none does."""
        return self.self_training > 0 or self.box_constraint > 0 or self.contrasts_pixels

    @property
    def asks_colours(self) -> bool:
        """Whether a colour model votes for targets that some term is taught."""
        return self.colour_vote > 0 and (self.self_training > 0 or self.contrasts_pixels)

    @property
    def contrasts_pixels(self) -> bool:
        """Whether the decoder's own pixels are contrasted."""
        return self.pixel_contrast > 0


@dataclass(frozen=True, kw_only=True, config=STRICT)
class OptimConfig:
    """The optimiser and its batches."""

    lr_encoder: Rate = 2e-6
    """Learning rate of the encoder, at the width that `lr_width` names."""
    lr_width: PositiveInt | None = None
    """Width of the encoder that `lr_encoder` is meant for: rate times (lr_width / width) squared. None: as it stands."""
    lr_head: Rate = 1e-3
    """Learning rate of the projection head."""
    weight_decay: Weight = 1e-4
    """Of AdamW; never on norms, biases and position tables."""
    batch_size: PositiveInt = 4
    """Images per step on each device."""
    accumulate: PositiveInt = 1
    """Batches per optimizer step."""
    clip: Rate = 1.0
    """Largest norm of the gradient."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class DataConfig:
    """How images reach the encoder."""

    resize: Literal["longest_side", "squash"] = "longest_side"
    """Keep the aspect and pad (SAM's own way), or squash the image to the square."""
    input_size: PositiveInt | None = None
    """Side of the input frame in pixels; the model's own where not given."""
    held_out: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Share of the images kept out of training, to choose the best epoch by, without masks; 0 takes the last epoch."""
    on_bad: OnBad = "stop"
    """An image that cannot be read: stop, or skip it with its objects, told and counted."""
    num_workers: Count = 0
    """Processes that read images."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class HardwareConfig:
    """Where and how exactly it runs; these are the Lightning Trainer's own flags."""

    accelerator: str = "auto"
    """cpu, gpu, mps, ... or auto."""
    devices: PositiveInt = 1
    """Devices per node; several share every batch (DDP)."""
    num_nodes: PositiveInt = 1
    """Machines."""
    precision: Precision = "32-true"
    """Arithmetic of the forward pass; weights, losses and the teacher's average stay in 32 bits."""
    rank_timeout_s: Rate = 1800.0
    """A process that hears nothing of the others for so many seconds, at the start or later, ends and says so."""
    checkpointing: bool = False
    """Recompute encoder blocks in the backward pass: less memory, a third more time."""
    auto_batch: bool = False
    """Ask the memory planner how many images at once fit, checkpointing if need be; as many make a step as `batch_size` and
    `accumulate` say."""
    cache_gb: Weight = 2.0
    """Room for what the frozen parts make of each image, in each orientation, on each device, so that later epochs read it; 0 keeps nothing."""
    cache_dir: str | None = None
    """Keep that in this folder, which runs with the same weights may share; in memory where not given."""


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """One adaptation."""

    weights: str = "nano"
    """nano (bundled), a hub name (facebook/sam-vit-base), a transformers folder, a Meta .pth, or a run folder."""
    epochs: PositiveInt = 10
    """Passes over the images."""
    seed: Seed = 0
    """Decides order, draws and the head's start."""
    method: MethodConfig = field(default_factory=MethodConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    data: DataConfig = field(default_factory=DataConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)


def read_config(path: Path) -> Config:
    """The settings in a YAML file that holds only what differs from the defaults."""
    try:
        values = read_plain_yaml(path.read_text(encoding="utf-8")) or {}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(values, Mapping):
        raise InputError(f"{path}: expected `key: value` lines, found {type(values).__name__}")
    try:
        return TypeAdapter(Config).validate_python(values)
    except ValidationError as error:
        rows = [f"{path}: {row}" for row in refusals(error)]
        raise InputError(f"{path}: {len(rows)} setting(s) cannot be used:", rows) from error


def read_recipe(name: str) -> Config:
    """A bundled recipe by name, or a file of one's own."""
    bundled = {path.stem: path for path in sorted(RECIPES.glob("*.yaml"))}
    path = bundled.get(name, Path(name))
    if not path.is_file():
        raise InputError(
            f"{name}: no such recipe; give a YAML file or one of: {', '.join(bundled)}"
        )
    return read_config(path)


def settings(config: Config) -> dict[str, Any]:
    """All settings as plain nested values."""
    values: dict[str, Any] = TypeAdapter(Config).dump_python(config)
    return values


def as_yaml(config: Config) -> str:
    """What `read_config` reads."""
    return str(yaml.safe_dump(settings(config), sort_keys=False))


def setting_names(section: Any = Config, prefix: str = "") -> Iterator[str]:
    """Every setting's dotted name, as in `method.temperature`."""
    for f in fields(section):
        nested = isinstance(f.type, type) and is_dataclass(f.type)
        yield from setting_names(f.type, f"{prefix}{f.name}.") if nested else [prefix + f.name]


def refusals(error: ValidationError) -> list[str]:
    """What of the settings, or of one section of them, cannot be used: a line each, by its dotted name."""
    return [_explain(_SECTIONS.get(error.title, ()), part) for part in error.errors()]


_SECTIONS = {getattr(f.type, "__name__", ""): (f.name,) for f in fields(Config)}


def _explain(section: tuple[str, ...], error: Any) -> str:
    if error["type"] == "value_error":  # several settings together, named in our own words
        return str(error["ctx"]["error"])
    key = ".".join(str(part) for part in (*section, *error["loc"]))
    if error["type"] not in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{key}: {error['msg']}, found {_short(error['input'])}"
    near = difflib.get_close_matches(key, list(setting_names()), n=1, cutoff=0.4)
    return f"{key}: no such setting" + (f"; did you mean {near[0]}?" if near else "")


def _short(value: object) -> str:
    """A value as far as a line goes; Python writes no number of thousands of digits."""
    if isinstance(value, int) and value.bit_length() > 64:
        return f"a number of {value.bit_length()} bits"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)[:80]
    return f"a {type(value).__name__}"

"""The model card of an export, and the checksums of its files."""

import json
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2

from ringsam.config import ExportFormat
from ringsam.digests import digest_line
from ringsam.errors import InputError
from ringsam.export.checks import Parity
from ringsam.export.source import Source
from ringsam.provenance import read_note, recipe_name, short_place, short_weights
from ringsam.runs import RunFolder
from ringsam.sam.model import Sam

_CARDS = Path(__file__).parent / "cards"
_PACKAGES: dict[ExportFormat, tuple[str, ...]] = {
    "hf": ("torch", "transformers"),
    "meta": ("torch", "transformers"),
    "onnx": ("torch", "transformers", "onnxruntime"),
    "lora": ("torch", "transformers", "peft"),
}
_METRICS = {"miou": "mIoU", "dice": "Dice", "boundary_iou": "boundary IoU"}
_REGISTRY = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}  # Meta's names, by the encoder's width
_HUB_NAME = re.compile(r"[\w-]+/[\w.-]+")


def write_card(source: Source, to: ExportFormat, parities: Sequence[Parity], folder: Path) -> None:
    """`README.md`: base weights, method, data, figures, versions and how to load what lies beside it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_CARDS),
        autoescape=False,  # it is Markdown
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template(f"{to}.md.j2").render(
        to=to,
        sam=source.sam,
        config=source.sam.model.config,
        registry=registry_name(source.sam),
        digest=source.sam.digest(),
        run=_told_of_run(source.run) if source.run else None,
        base=base_weights(source),
        parities=parities,
        versions={name: version(name) for name in ("ringsam", *_PACKAGES[to])},
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def write_checksums(folder: Path) -> None:
    """`SHA256SUMS` of every file, as `sha256sum --check` reads it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [digest_line(path, named=path.relative_to(folder).as_posix()) for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def base_weights(source: Source) -> str:
    """The name of the weights that the adaptation began with, without the folders of whoever ran it."""
    return short_weights(source.run.read_config().weights if source.run else source.name)


def registry_name(sam: Sam) -> str | None:
    """What `segment_anything` calls this architecture; None where it has to be built by hand."""
    encoder = sam.model.config.vision_config
    return _REGISTRY.get(encoder.hidden_size) if encoder.image_size == 1024 else None


def _told_of_run(run: RunFolder) -> dict[str, Any]:
    """What the card says of the training."""
    config, epochs = run.read_config(), run.read_epochs()
    weights, note = config.weights, read_note(run)
    return {
        "config": config,
        "recipe": recipe_name(config),
        "hub_name": weights
        if _HUB_NAME.fullmatch(weights) and not Path(weights).exists()
        else None,
        "data": short_place(note.data if note else None),
        "num_images": len(note.images) if note else 0,
        "num_objects": max((round(epoch["num_objects"]) for epoch in epochs), default=None),
        "labels": note.labels if note else {},
        "num_epochs": len(epochs),
        "evaluation": _evaluation(run.evaluation),
        "metrics": _METRICS,
    }


def _evaluation(path: Path) -> dict[str, Any] | None:
    """The run's figures; None where it has none."""
    if not path.is_file():
        return None
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: was cut or altered ({error}); remove or restore it") from error
    return values

"""Adapted weights for other tools, each loaded back and compared before it counts as done."""

from collections.abc import Callable
from pathlib import Path

from ringsam.config import ExportFormat
from ringsam.errors import InputError
from ringsam.export.card import write_card, write_checksums
from ringsam.export.checks import Parity
from ringsam.export.onnx_folder import write_onnx
from ringsam.export.source import Source
from ringsam.export.weights_files import write_hf, write_meta
from ringsam.runs import moved_into_place
from ringsam.sam.model import Sam

_WRITERS: dict[ExportFormat, Callable[[Sam, Path], list[Parity]]] = {
    "hf": write_hf,
    "meta": write_meta,
    "onnx": write_onnx,
}


def export_weights(run_or_weights: str | Path, *, to: ExportFormat, out: Path | None = None) -> str:
    """Write a folder for other tools, with its model card and checksums, and say how its masks compare.

    Without `out` it goes beside a run's other files. Raises InputError where `out` exists or cannot be written, and
    ExportDiffers where what was written gives other masks; then nothing is left of it.
    """
    source = Source.of(run_or_weights)
    out = out or source.default_place(to)
    if out.exists():
        raise InputError(f"{out}: exists; give another --out")
    with moved_into_place(out) as unfinished:
        parities = _WRITERS[to](source.sam, unfinished)
        write_card(source, to, parities, unfinished, notes=())
        write_checksums(unfinished)
    rows = [f"  {parity.text()}" for parity in parities]
    return "\n".join([f"{out}: written, read back and compared", *rows])

"""Adapted weights for other tools, each loaded back and compared before it counts as done."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ringsam.config import ExportFormat
from ringsam.errors import InputError
from ringsam.export.card import write_card, write_checksums
from ringsam.export.checks import Parity
from ringsam.export.lora import write_lora
from ringsam.export.onnx_folder import write_onnx
from ringsam.export.source import Source
from ringsam.export.weights_files import write_hf, write_meta
from ringsam.files import moved_into_place

Writer = Callable[[Source, Path], list[Parity]]


def export_weights(
    run_or_weights: str | Path,
    *,
    to: ExportFormat,
    out: Path | None = None,
    rank: int | None = None,
    energy: float | None = None,
) -> str:
    """Write a folder for other tools, with its model card and checksums, and say how its masks compare.

    Without `out` it goes beside a run's other files; `rank` or `energy` are the size of a LoRA adapter. Raises InputError where `out` exists or cannot be written, and
    ExportDiffers where what was written gives other masks; then nothing is left of it.
    """
    write = _writer(to, rank, energy)
    source = Source.of(run_or_weights)
    out = out or source.default_place(to)
    if out.exists():
        raise InputError(f"{out}: exists; give another --out")
    with moved_into_place(out) as unfinished:
        parities = write(source, unfinished)
        write_card(source, to, parities, unfinished)
        write_checksums(unfinished)
    rows = [f"  {parity.text()}" for parity in parities]
    return "\n".join([f"{out}: written, read back and compared", *rows])


def _writer(to: ExportFormat, rank: int | None, energy: float | None) -> Writer:
    """Raises InputError for a rank or an energy that cannot be, and for either where nothing has it."""
    if to != "lora" and not (rank is None and energy is None):
        raise InputError(
            "--rank and --energy are a LoRA adapter's; leave them out, or give --to lora"
        )
    if rank is not None and (rank < 1 or energy is not None):
        raise InputError("--rank: give a whole number from 1 on, and no --energy beside it")
    if energy is not None and not 0 < energy <= 1:
        raise InputError(
            f"--energy {energy}: give a share of the change, more than 0 and at most 1"
        )
    lora = partial(write_lora, rank=rank, energy=energy)
    writers: dict[ExportFormat, Writer] = {
        "hf": write_hf,
        "meta": write_meta,
        "onnx": write_onnx,
        "lora": lora,
    }
    return writers[to]

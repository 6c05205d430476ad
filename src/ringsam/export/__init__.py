"""Adapted weights for other tools, each loaded back and compared before it counts as done."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from ringsam.errors import ExportDiffers, InputError
from ringsam.runs import RunFolder, moved_into_place
from ringsam.sam.model import Prompts, Sam
from ringsam.sam.weights import load_sam, save_folder, save_meta

_WRITERS: dict[str, Callable[[Sam, Path], None]] = {"hf": save_folder, "meta": save_meta}


def export_weights(
    run_or_weights: str | Path, *, to: Literal["hf", "meta"], out: Path | None = None
) -> str:
    """Write a transformers folder or a Meta .pth and say how the masks of what was written compare.

    Without `out` it goes beside a run's other files. Raises InputError where `out` exists or
    cannot be written, and ExportDiffers where the weights read back give other masks.
    """
    sam = load_sam(run_or_weights)
    out = out or _default_place(Path(run_or_weights), to)
    if out.exists():
        raise InputError(f"{out}: exists; give another --out")
    with moved_into_place(out) as unfinished:
        _WRITERS[to](sam, unfinished)
        difference = mask_difference(sam, load_sam(unfinished))
        if difference != 0:  # so that NaN is a difference
            raise ExportDiffers(
                f"{out}: the weights read back give masks that differ by up to {difference:.3g}; "
                "nothing was kept; export again, to another disk"
            )
    return f"{out}: read back and compared, the masks are the same to the last bit"


@torch.inference_mode()
def mask_difference(first: Sam, second: Sam) -> float:
    """The largest difference of any mask logit, on a random image with a box and a point prompt."""
    generator = torch.Generator().manual_seed(0)
    size = first.input_size
    image = torch.randn(1, 3, size, size, generator=generator)
    boxes = torch.tensor([[0.2, 0.3, 0.7, 0.8], [0.1, 0.1, 0.4, 0.9]]) * size
    points = Prompts(points=boxes[:, None, :2] + 5, labels=torch.ones(2, 1, dtype=torch.int))
    index = torch.zeros(2, dtype=torch.long)
    differences = [
        torch.sub(*(sam.decode(sam.encode(image), index, asked).logits for sam in (first, second)))
        for asked in (Prompts(boxes=boxes), points)
    ]
    return float(torch.stack(differences).abs().max())


def _default_place(source: Path, to: str) -> Path:
    if not RunFolder(source).is_run():
        raise InputError(f"{source}: is not a run folder; say where to with --out")
    return source / ("export_hf" if to == "hf" else "sam_adapted.pth")

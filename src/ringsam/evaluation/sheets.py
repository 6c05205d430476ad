"""The pictures that training drew of the same few objects, an epoch each."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ringsam.advice import Epoch
from ringsam.data.images import read_image
from ringsam.errors import InputError
from ringsam.evaluation.overlays import data_address
from ringsam.runs import RunFolder

MAX_SHEETS = 12  # on the page, so that it stays small
_MAX_SIDE_PX = 1028


class Sheet(NamedTuple):
    """One epoch's picture; `address` is a data: address."""

    title: str
    width: int
    height: int
    address: str


def read_sheets(run: RunFolder, epochs: Sequence[Epoch]) -> tuple[list[Sheet], str | None]:
    """Sheets spread over the run, the first and the last among them, and the reason where they cannot be shown."""
    drawn = list(run.sheets().items())
    places = np.linspace(0, len(drawn) - 1, min(len(drawn), MAX_SHEETS)).round().astype(int)
    try:
        return [_sheet(drawn[place], epochs) for place in places], None
    except InputError as error:
        return [], str(error)


def _sheet(drawn: tuple[int, Path], epochs: Sequence[Epoch]) -> Sheet:
    epoch, path = drawn
    pixels = read_image(path)
    height, width = pixels.shape[:2]
    address = data_address(pixels, max_side_px=_MAX_SIDE_PX)
    return Sheet(_title(epoch, epochs), width, height, address)


def _title(epoch: int, epochs: Sequence[Epoch]) -> str:
    """Which epoch, and how good the held-out masks were then, where that was judged."""
    after = {row.get("epoch"): row.get("mask_free_quality") for row in epochs}
    before = epochs[0].get("mask_free_quality_before") if epochs else None
    quality = after.get(epoch) if epoch else before
    told = "" if quality is None else f" · mask-free quality {quality:.3f}"
    return (f"after epoch {epoch}" if epoch else "before training") + told

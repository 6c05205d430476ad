"""`ringsam export --to hf` and `--to meta`: the weights themselves, the same to the last bit once they are read back."""

from pathlib import Path

from ringsam.export.checks import Parity, answer, compare, refuse_any_difference
from ringsam.export.source import Source
from ringsam.sam.model import Sam
from ringsam.sam.weights import load_sam, save_folder, save_meta


def write_hf(source: Source, folder: Path) -> list[Parity]:
    """A transformers folder; raises ExportDiffers where it reads back otherwise."""
    save_folder(source.sam, folder)
    return [_read_back("the transformers folder", source.sam, folder)]


def write_meta(source: Source, folder: Path) -> list[Parity]:
    """`sam.pth` in Meta's layout; raises ExportDiffers where it reads back otherwise."""
    folder.mkdir()
    save_meta(source.sam, folder / "sam.pth")
    return [_read_back("sam.pth", source.sam, folder / "sam.pth")]


def _read_back(what: str, sam: Sam, path: Path) -> Parity:
    return refuse_any_difference(compare(what, answer(sam), answer(load_sam(path))))

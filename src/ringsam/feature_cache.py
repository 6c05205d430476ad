"""Tensors that are dear to make, kept by key up to a budget of bytes, in memory or in a folder."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ringsam.files import replaced


class FeatureCache:
    """What is full takes no more and forgets nothing: an epoch asks for every image once, so nothing is wanted sooner than the rest.

    With a folder, the tensors are kept there and shared with other runs; a file that is damaged counts as missing, and a disk
    that takes no more as full.
    """

    def __init__(self, budget_bytes: int, folder: Path | None = None) -> None:
        self.budget_bytes = budget_bytes
        self.folder = folder
        self.used_bytes = 0
        self._kept: dict[str, tuple[Tensor, ...]] = {}
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            self.used_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))

    def get(self, key: str) -> tuple[Tensor, ...] | None:
        """The tensors, on the CPU; None where they are not kept."""
        return _read(self._file(key)) if self.folder else self._kept.get(key)

    def put(self, key: str, tensors: Sequence[Tensor]) -> None:
        """Keep the tensors where they fit."""
        size = sum(tensor.nbytes for tensor in tensors)
        if self.used_bytes + size > self.budget_bytes:
            return
        kept = tuple(tensor.detach().to("cpu", copy=True) for tensor in tensors)
        if self.folder is None:
            self._kept[key] = kept
            self.used_bytes += size
            return
        path = self._file(key)
        counted = path.exists()  # damaged, or of another run that was faster
        try:
            _write(kept, path)
        except (OSError, SafetensorError) as error:
            self.budget_bytes = 0
            reason = error.strerror if isinstance(error, OSError) else error
            print(f"NOT KEPT: {path}: {reason}; no more is kept, training goes on", flush=True)
        else:
            self.used_bytes += 0 if counted else size

    def _file(self, key: str) -> Path:
        assert self.folder is not None
        return self.folder / f"{key}.safetensors"


def _write(tensors: Sequence[Tensor], path: Path) -> None:
    """Whole or not at all, whoever else writes the same."""
    named = {str(i): tensor.contiguous() for i, tensor in enumerate(tensors)}
    with replaced(path) as unfinished:
        save_file(named, unfinished, metadata={"crc32": _checksum(tensors)})


def _read(path: Path) -> tuple[Tensor, ...] | None:
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = tuple(file.get_tensor(str(i)) for i in range(len(file.keys())))
            checksum = (file.metadata() or {}).get("crc32")
    except (SafetensorError, OSError):
        return None
    return tensors if checksum == _checksum(tensors) else None


def _checksum(tensors: Sequence[Tensor]) -> str:
    value = 0
    for tensor in tensors:
        value = zlib.crc32(tensor.contiguous().view(torch.uint8).numpy().data, value)
    return str(value)

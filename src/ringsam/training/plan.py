"""`ringsam plan`: how to split a step's images so that it fits the memory at hand, and why."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lightning.fabric import Fabric

from ringsam.batch import Sample
from ringsam.config import Config
from ringsam.data.records import TwoBoxData
from ringsam.errors import InputError
from ringsam.method.orientation import NUM_ORIENTATIONS
from ringsam.sam.model import Sam
from ringsam.sam.weights import load_sam
from ringsam.training.build import build_fabric, build_loader, build_module
from ringsam.training.memory import (
    NOTHING_SMALLER,
    StepMemory,
    flags_of,
    free_bytes,
    free_memory,
    smaller,
    step_memory,
)

# Of the free memory, the part that tensors may take: a GPU's allocator wastes little, a process's heap keeps much that was freed.
_USABLE = {"cpu": 0.6, "cuda": 0.9}


@dataclass(frozen=True)
class Candidate:
    """One way to run a step, and the bytes at its peak."""

    config: Config
    predicted: int | None  # None: more than there is

    def fits(self, usable: int) -> bool:
        return self.predicted is not None and self.predicted <= usable


@dataclass(frozen=True)
class Plan:
    """The ways looked at, from the settings as given to the first that fits, or to the last there is."""

    candidates: tuple[Candidate, ...]
    free: int
    usable: int

    @property
    def chosen(self) -> Candidate | None:
        last = self.candidates[-1]
        return last if last.fits(self.usable) else None

    def text(self) -> str:
        """A table of the ways, then the flags of the one chosen."""
        lines = [
            f"{_gib(self.free)} free, of which tensors may take {_gib(self.usable)}",
            "images at once  accumulate  checkpointing  predicted peak",
        ]
        for way in self.candidates:
            optim, checkpointing = way.config.optim, way.config.hardware.checkpointing
            predicted = "too much" if way.predicted is None else _gib(way.predicted)
            fits = "fits" if way.fits(self.usable) else "does not fit"
            lines.append(
                f"{optim.batch_size:14d}  {optim.accumulate:10d}  {'yes' if checkpointing else 'no':>13}"
                f"  {predicted:>14}  {fits}"
            )
        return "\n".join([*lines, self._advice()])

    def _advice(self) -> str:
        if self.chosen is None:
            return f"nothing fits: {NOTHING_SMALLER}"
        if len(self.candidates) == 1:
            return "the settings fit as they are"
        return f"train with {flags_of(self.chosen.config)}"


def make_plan(data: TwoBoxData, config: Config) -> Plan:
    """Count the memory of real steps on the images with most objects, and choose the first way that fits.

    Every way has the same images to an optimizer step. Raises InputError for data, weights or settings that cannot be used.
    """
    learn, _ = data.with_objects().hold_out(config.data.held_out, config.seed)
    if not learn.images:
        raise InputError(f"{data.source}: no image has objects")
    sam = load_sam(config.weights, input_size=config.data.input_size)
    samples = build_loader(learn, sam, config).dataset
    most_first = (-learn.images.num_objects).argsort(kind="stable")
    fullest = [samples[int(i)] for i in most_first[:2]]
    fabric = build_fabric(config.hardware)
    free = free_bytes(fabric.device) - (
        cache_bytes(sam, config, len(learn.images)) if fabric.device.type == "cpu" else 0
    )
    usable = int(free * _USABLE.get(fabric.device.type, 0.6))
    found: list[Candidate] = []
    for candidate in _candidates(sam, fullest, config, fabric):
        found.append(candidate)
        if candidate.fits(usable):
            break
    return Plan(tuple(found), free, usable)


def _candidates(
    sam: Sam, samples: Sequence[Sample], config: Config, fabric: Fabric
) -> Iterator[Candidate]:
    """Every way there is, the fastest first."""
    way: Config | None = config
    known: dict[bool, StepMemory] = {}
    while way is not None:
        checkpointing = way.hardware.checkpointing
        if checkpointing not in known:
            known[checkpointing] = _measure(sam, samples, way, fabric)
        yield Candidate(way, known[checkpointing].of(way.optim.batch_size))
        way = smaller(way)


def _measure(sam: Sam, samples: Sequence[Sample], config: Config, fabric: Fabric) -> StepMemory:
    """On a copy, which is gone from the device before the next one comes."""
    adaptation = build_module(copy.deepcopy(sam), config).adaptation.to(fabric.device)
    memory = step_memory(adaptation, samples, config, fabric)
    del adaptation
    free_memory()
    return memory


def cache_bytes(sam: Sam, config: Config, num_images: int) -> int:
    """What the features kept in memory will take, at most."""
    if config.hardware.cache_dir:
        return 0
    channels = sam.embedding_dim + (sam.width if config.method.unfreeze_last_k else 0)
    ways = min(NUM_ORIENTATIONS, config.epochs) if config.method.random_orientation else 1
    wanted = num_images * ways * channels * sam.grid**2 * 4
    return min(int(config.hardware.cache_gb * 1e9), wanted)


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"

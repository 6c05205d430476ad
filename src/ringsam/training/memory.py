"""How much memory a training step takes, counted in real ones, and how to take less for the same images."""

import gc
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim import AdamW
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ringsam.batch import Sample, collate
from ringsam.config import Config
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation
from ringsam.training.optim import parameter_groups

CONTAINER = Path("/sys/fs/cgroup")
NOTHING_SMALLER = "take a smaller --data.input_size, --method.unfreeze_last_k 2, or a smaller SAM"


class TensorBytes(TorchDispatchMode):
    """Bytes of the tensors alive, and the most there were: those given, and those that operations make while it is entered."""

    def __init__(self, given: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.alive = self.peak = 0
        self._seen: set[int] = set()
        for tensor in given:
            self._count(tensor.untyped_storage())

    @classmethod
    def of(cls, module: nn.Module) -> "TensorBytes":
        """With a module's weights as those given."""
        return cls([*module.parameters(), *module.buffers()])

    def restart(self) -> None:
        """The peak counts from here."""
        self.peak = self.alive

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, then count what it made."""
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._seen:
            return
        size = storage.nbytes()
        self._seen.add(key)
        weakref.finalize(storage, self._forget, key, size)
        self.alive += size
        self.peak = max(self.peak, self.alive)

    def _forget(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.alive -= size


@dataclass(frozen=True)
class StepMemory:
    """Bytes at the peaks of steps with one image and with two; None where that did not fit the device."""

    one: int | None
    two: int | None

    def of(self, num_images: int) -> int | None:
        """As a straight line through both."""
        if self.one is None or self.two is None:
            return self.one if num_images == 1 else None
        return self.one + (num_images - 1) * (self.two - self.one)


def smaller(config: Config) -> Config | None:
    """The same images to an optimizer step in less memory: half as many at once, then checkpointing; None where nothing is left."""
    size, hardware = config.optim.batch_size, config.hardware
    if size > 1:
        part = next(n for n in range(size // 2, 0, -1) if size % n == 0)
        accumulate = config.optim.accumulate * size // part
        return replace(config, optim=replace(config.optim, batch_size=part, accumulate=accumulate))
    if not hardware.checkpointing:
        return replace(config, hardware=replace(hardware, checkpointing=True))
    return None


def flags_of(config: Config) -> str:
    """What says on the command line how many images are worked on at once."""
    optim = config.optim
    flags = f"--optim.batch_size {optim.batch_size} --optim.accumulate {optim.accumulate}"
    return flags + (" --hardware.checkpointing" if config.hardware.checkpointing else "")


def step_memory(
    adaptation: Adaptation, samples: Sequence[Sample], config: Config, fabric: Fabric
) -> StepMemory:
    """Take real steps with one of the samples and with two, on the device at hand, and count."""
    optimizer = AdamW(parameter_groups(adaptation, config.optim))
    counted = TensorBytes.of(adaptation)
    peaks: dict[int, int] = {}
    with counted:
        for num in (1, 1, 2):  # the first makes Adam's moments
            counted.restart()
            chosen = [samples[i % len(samples)] for i in range(num)]
            try:
                take_step(adaptation, chosen, optimizer, fabric)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                break
            peaks[num] = counted.peak
    return StepMemory(peaks.get(1), peaks.get(2))


def take_step(
    adaptation: Adaptation, samples: Sequence[Sample], optimizer: AdamW, fabric: Fabric
) -> None:
    """One whole training step on these images, monitors, optimizer and EMA included."""
    batch = collate(samples).to(fabric.device)
    with fabric.autocast():
        output = adaptation.step(batch, Draws(0, 0))
        adaptation.monitor(output)
    output.loss.backward()
    optimizer.step()
    adaptation.update_teacher()
    optimizer.zero_grad()


def out_of_memory(error: BaseException) -> bool:
    """Whether a device, or the machine, had no room for a tensor."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    # The CPU, drivers, CUDA's libraries
    said = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(words in str(error) for words in said)


def free_memory() -> None:
    """Give back what a failed step left behind."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def free_bytes(device: torch.device) -> int:
    """What the device could still give."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min([int(psutil.virtual_memory().available), *container_bytes()])


def container_bytes() -> list[int]:
    """What a container's limit leaves, where there is one; files kept in memory count as free (cgroup v2)."""
    try:
        limit, used = ((CONTAINER / f"memory.{name}").read_text() for name in ("max", "current"))
        kept = dict(line.split() for line in (CONTAINER / "memory.stat").read_text().splitlines())
    except OSError:  # no Linux, or no container
        return []
    return [] if limit.strip() == "max" else [int(limit) - int(used) + int(kept["inactive_file"])]

"""What the performance goals share: a figure against its goal, work to time, our whole step, and clocks."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.optim import AdamW

from benchmarks.models import randomize, transformers_sam
from ringsam.batch import Batch, Sample, collate
from ringsam.config import Config, MethodConfig
from ringsam.draws import Draws
from ringsam.feature_cache import FeatureCache
from ringsam.geometry import Frame
from ringsam.method.adaptation import Adaptation
from ringsam.sam.model import Sam
from ringsam.training.optim import parameter_groups

TRUSTING = (
    0.7  # above ln 2: random weights' masks are trusted, so that every part of the step has work
)


class Figure(NamedTuple):
    """One measured number against its goal."""

    goal: str
    what: str
    value: float
    unit: str  # printed after the number
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool:
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def row(self) -> str:
        """A line of the table."""
        sign, bound = (">=", self.at_least) if self.at_most is None else ("<=", self.at_most)
        asked = "" if bound is None else f"{sign} {bound:g}{self.unit}"
        verdict = "" if bound is None else "met" if self.met else "**missed**"
        return f"| {self.goal} | {self.what} | {self.value:.3g}{self.unit} | {asked} | {verdict} |"


@dataclass
class Options:
    """What to measure."""

    goals: tuple[str, ...] = ()
    """P1 P2 ...; all that the device can show where not given."""
    profile: bool = False
    """Also where the time goes, a table for each goal that is hard to reach."""
    gpu: bool = False
    """The goals of a GPU: images per second in training and prediction, memory, synchronisations."""
    sizes: tuple[str, ...] = ("vit_b", "vit_l", "vit_h")
    """Encoders, for --gpu."""
    image_size: int = 1024
    """Side of the input frame, for --gpu."""
    device: str = "cuda"
    """Where --gpu runs; cpu shows only that it does."""
    rounds: int = 5
    """Timings of each way; the median counts."""
    table: Path | None = None
    """Where the table goes; benchmarks/results/performance.md (or performance_gpu.md) where not given."""


class Work(NamedTuple):
    """Images, and objects on them, that a step is timed with."""

    size: str
    image_size: int
    num_images: int
    per_image: int


SMALL = Work("vit_ti", 512, num_images=2, per_image=4)


def samples_of(work: Work, *, keys: bool = False) -> list[Sample]:
    """Random images with boxes at random places."""
    random = torch.Generator().manual_seed(0)
    num, side = work.per_image, work.image_size
    inset = 0.1 * side * torch.tensor([1.0, 1.0, -1.0, -1.0])
    samples = []
    for i in range(work.num_images):
        corner = 0.6 * side * torch.rand(num, 2, generator=random)
        big = torch.cat([corner, corner + 0.36 * side], dim=1)
        samples.append(
            Sample(
                image=torch.randn(3, side, side, generator=random),
                frame=Frame(side, side, side, side, side),
                big_boxes=big,
                small_boxes=big + inset,
                object_ids=torch.arange(i * num, (i + 1) * num),
                gt_masks=None,
                image_key=str(i) if keys else None,
            )
        )
    return samples


def batch_of(work: Work, *, device: str = "cpu", keys: bool = False) -> Batch:
    return collate(samples_of(work, keys=keys)).to(device)


class OurStep:
    """Our whole training step: method, monitors, backward pass, optimizer, EMA."""

    def __init__(
        self,
        work: Work,
        config: MethodConfig,
        *,
        cached: bool = False,
        device: str = "cpu",
        checkpointing: bool = False,
        monitored: bool = True,
    ) -> None:
        sam = Sam(randomize(transformers_sam(work.size, image_size=work.image_size), seed=0))
        cache = FeatureCache(4 << 30) if cached else None
        self.adaptation = Adaptation(sam, config, cache=cache, checkpointing=checkpointing).to(
            device
        )
        self.optimizer = AdamW(parameter_groups(self.adaptation, Config().optim), fused=True)
        self.batch = batch_of(work, device=device, keys=cached)
        self.draws = Draws(0, 0)
        self.monitored = monitored

    def __call__(self) -> None:
        with torch.autocast("cuda", torch.bfloat16, enabled=self.batch.images.is_cuda):
            output = self.adaptation.step(self.batch, self.draws)
            if self.monitored:
                self.adaptation.monitor(output)
        output.loss.backward()
        self.update()

    def update(self) -> None:
        """Optimizer and EMA."""
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.adaptation.update_teacher()


def seed_method(unfreeze_last_k: int, **settings: Any) -> MethodConfig:
    return MethodConfig(unfreeze_last_k=unfreeze_last_k, entropy_thresh=TRUSTING, **settings)


def process_seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def device_seconds(call: Callable[[], object]) -> float:
    """Wall time until the GPU is done, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    call()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def medians(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[Callable[[], object]], float] = process_seconds,
) -> dict[str, float]:
    """Seconds of each call: one round to warm up, then all in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            taken = clock(call)
            if turn:
                seconds[name].append(taken)
    return {name: statistics.median(values) for name, values in seconds.items()}

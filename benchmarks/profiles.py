"""Where the time goes: of our side of the goals that are hardest to reach, by what runs, and what single parts of a step cost.

Shares are of the time that a profiler counts; they say where to look, not how long it takes.
"""

import cProfile
import pstats
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.figures import (
    SMALL,
    Figure,
    Options,
    OurStep,
    Work,
    batch_of,
    medians,
    seed_method,
)
from benchmarks.million import write_set
from benchmarks.models import randomize, transformers_sam
from benchmarks.parts import decode_together
from ringsam.config import read_recipe
from ringsam.data.rows import examine
from ringsam.sam.model import Prompts, Sam

_ROWS = 8


def parts_of_the_best_step(options: Options) -> Iterator[Figure]:
    """What the object's colours and the pixel contrast cost of a step of the recipe `best`."""
    config = replace(read_recipe("best").method, prompts="box+core")
    steps = {
        "whole": OurStep(SMALL, config),
        "colours": OurStep(SMALL, replace(config, colour_evidence=0.0)),
        "pixel contrast": OurStep(SMALL, replace(config, pixel_contrast=0.0)),
    }
    took = medians(steps, options.rounds)
    for part in ("colours", "pixel contrast"):
        share = 100 * (1 - took[part] / took["whole"])
        yield Figure("best", f"{part}, of a step of the recipe best", share, " %")


def compiled_tail(options: Options) -> Iterator[Figure]:
    """What torch.compile makes of the student's blocks: forward and backward pass, after it has compiled."""
    adaptation = OurStep(SMALL, seed_method(2)).adaptation
    with torch.no_grad():
        trunk, _ = adaptation.frozen(batch_of(SMALL))
    tail = adaptation.student.tail
    ways = {
        "plain": partial(_pass, tail, trunk),
        "compiled": partial(_pass, torch.compile(tail), trunk),
    }
    took = medians(ways, options.rounds)
    ratio = took["plain"] / took["compiled"]
    yield Figure("compile", "the student's last two blocks: plain / torch.compile", ratio, "x")


def _pass(tail: Callable[[Tensor], Tensor], trunk: Tensor) -> None:
    tail(trunk).square().mean().backward()


def wesam_step() -> dict[str, float]:
    return _shares_of_operators(OurStep(SMALL, seed_method(2, prompts="box")))


def eight_objects() -> dict[str, float]:
    sam = Sam(randomize(transformers_sam("small", image_size=512), seed=0))
    batch = batch_of(SMALL._replace(num_images=1, per_image=8))
    with torch.no_grad():
        embedding = sam.encode(batch.images)
    prompts = Prompts(boxes=batch.big_boxes)
    return _shares_of_operators(partial(decode_together, sam, embedding, batch, prompts))


def many_objects_step() -> dict[str, float]:
    return _shares_of_operators(OurStep(Work("vit_b", 512, 1, 64), seed_method(0)))


def first_reading() -> dict[str, float]:
    """Of 20,000 images and their objects, function by function."""
    with tempfile.TemporaryDirectory() as folder:
        data = write_set(Path(folder) / "few", 20_000)
        profiler = cProfile.Profile()
        profiler.runcall(examine, data)
    seconds: dict[str, float] = {}
    for (file, _, name), (_, _, own, *_) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        where = name if file == "~" else f"{Path(file).name}: {name}"
        seconds[where] = seconds.get(where, 0.0) + own
    return seconds


PROFILED: Mapping[str, tuple[str, Callable[[], dict[str, float]]]] = {
    "P3": ("our step, K=2, the big box as prompt", wesam_step),
    "P7": ("the decoder with 8 objects", eight_objects),
    "P14": ("a step with 64 objects, ViT-B", many_objects_step),
    "P15": ("the first reading of 20,000 images", first_reading),
}


def profile_lines(goals: tuple[str, ...]) -> Iterator[str]:
    """A table for each goal that can be profiled: of those named, or all."""
    yield "\n## Where the time goes\n\n`python -m benchmarks.performance --profile`: shares of the time that a profiler counts."
    for goal, (what, measure) in PROFILED.items():
        if goals and goal not in goals:
            continue
        seconds = measure()
        whole = sum(seconds.values())
        largest = sorted(seconds, key=lambda part: -seconds[part])[:_ROWS]
        yield f"\n{goal}, {what}:\n\n| | share |\n|---|---|"
        for part in largest:
            yield f"| {part} | {100 * seconds[part] / whole:.0f} % |"
        rest = whole - sum(seconds[part] for part in largest)
        yield f"| {len(seconds) - len(largest)} others | {100 * rest / whole:.0f} % |"


def _shares_of_operators(call: Callable[[], object]) -> dict[str, float]:
    call()  # warm
    with profile(activities=[ProfilerActivity.CPU]) as found:
        call()
    return {event.key: event.self_cpu_time_total for event in found.key_averages()}

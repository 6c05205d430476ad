"""The goals of a GPU: images a second in training and prediction, memory, synchronisations; with the floor they stand above."""

import warnings
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.figures import (
    Figure,
    Options,
    OurStep,
    Work,
    batch_of,
    device_seconds,
    medians,
    seed_method,
)
from benchmarks.models import randomize, transformers_sam
from ringsam.batch import Batch
from ringsam.sam.model import Prompts, Sam

PEAK_FLOPS = 989e12  # of an H100 or H200, bf16, dense

# Images a second, and GB an image above what is static, as asked of an H200.
TRAINING: dict[int, dict[str, float]] = {
    2: {"vit_b": 165, "vit_l": 69, "vit_h": 38},
    0: {"vit_b": 50, "vit_l": 18, "vit_h": 9.5},
}
MEMORY = {"vit_b": 2.6, "vit_l": 6.5, "vit_h": 10.5}
CHECKPOINTED = {"vit_b": 0.7}
PREDICTION = {"vit_b": 280, "vit_l": 95, "vit_h": 50}


def training(options: Options) -> Iterator[Figure]:
    """P9, P10: images a second of the seed's whole step, 8 objects an image, and its share of the device's peak."""
    for k in TRAINING:
        goal = "P9" if k else "P10"
        for size in options.sizes:
            step = OurStep(_work(size, options), seed_method(k), device=options.device)
            seconds = medians({"step": step}, options.rounds, device_seconds)["step"]
            with FlopCounterMode(display=False) as counted:
                step()
            rate = len(step.batch.images) / seconds
            share = 100 * counted.get_total_flops() / seconds / PEAK_FLOPS
            yield Figure(goal, f"training, {size}, K={k}", rate, " images/s", TRAINING[k].get(size))
            yield Figure(goal, "the same, of the device's peak", share, " %")


def memory(options: Options) -> Iterator[Figure]:
    """P11: what a further image adds to the peak, K=0."""
    goals: dict[bool, dict[str, float]] = {False: MEMORY, True: CHECKPOINTED}
    for checkpointing, asked in goals.items():
        for size in options.sizes:
            peaks = []
            for num_images in (1, 2):
                work = _work(size, options)._replace(num_images=num_images)
                step = OurStep(
                    work, seed_method(0), device=options.device, checkpointing=checkpointing
                )
                step()
                peaks.append(_peak_gb(step, options))
                del step
            what = f"memory of a further image, {size}" + (
                ", checkpointed" if checkpointing else ""
            )
            yield Figure("P11", what, peaks[1] - peaks[0], " GB", at_most=asked.get(size))


def prediction(options: Options) -> Iterator[Figure]:
    """P12: images a second with 1 and with 32 boxes each, eight images at once."""
    for size in options.sizes:
        sam = Sam(randomize(transformers_sam(size, image_size=options.image_size), seed=0))
        sam.to(options.device)
        for per_image in (1, 32):
            work = _work(size, options)._replace(num_images=8, per_image=per_image)
            predict = partial(_predict, sam, batch_of(work, device=options.device), options.device)
            seconds = medians({"predict": predict}, options.rounds, device_seconds)["predict"]
            what = f"prediction, {size}, {per_image} boxes an image"
            yield Figure("P12", what, 8 / seconds, " images/s", PREDICTION.get(size))


def synchronisations(options: Options) -> Iterator[Figure]:
    """P18: how often a step waits for the device."""
    step = OurStep(_work(options.sizes[0], options), seed_method(0), device=options.device)
    step()
    on_gpu = options.device == "cuda"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if on_gpu:
            torch.cuda.set_sync_debug_mode("warn")
        step()
        if on_gpu:
            torch.cuda.set_sync_debug_mode("default")
    waits = sum("synchroniz" in str(warning.message) for warning in caught)
    yield Figure("P18", "synchronisations in a step", waits, "", at_most=0)


@torch.inference_mode()
def _predict(sam: Sam, batch: Batch, device: str) -> None:
    with torch.autocast(device, torch.bfloat16):
        sam.decode(sam.encode(batch.images), batch.image_index, Prompts(boxes=batch.big_boxes))


def _work(size: str, options: Options) -> Work:
    return Work(size, options.image_size, num_images=2, per_image=8)


def _peak_gb(step: OurStep, options: Options) -> float:
    """At the peak of a step; nothing where no GPU counts it."""
    if options.device != "cuda":
        step()
        return 0.0
    torch.cuda.reset_peak_memory_stats()
    step()
    return torch.cuda.max_memory_allocated() / 1e9


GPU_GOALS: dict[str, Callable[[Options], Iterator[Figure]]] = {
    "P9 P10": training,
    "P11": memory,
    "P12": prediction,
    "P18": synchronisations,
}

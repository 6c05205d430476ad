"""What the optimiser is given; plain PyTorch, for any loop."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from ringsam.config import Kept, OptimConfig
from ringsam.errors import InputError
from ringsam.method.adaptation import Adaptation
from ringsam.sam.model import Sam


def parameter_groups(adaptation: Adaptation, optim: OptimConfig) -> list[dict[str, Any]]:
    """Encoder and head, each with and without weight decay (never on norms, biases, position tables)."""
    parts = adaptation.trained_parts()
    rates = ((parts.encoder, encoder_rate(adaptation.sam, optim)), (parts.head, optim.lr_head))
    return [
        {"params": params, "lr": lr, "weight_decay": decay}
        for named, lr in rates
        for decay, params in (
            (optim.weight_decay, list(_select(named, decays=True))),
            (0.0, list(_select(named, decays=False))),
        )
        if params
    ]


def encoder_rate(sam: Sam, optim: OptimConfig) -> float:
    """`lr_encoder`, scaled from the width it is meant for to this encoder's: half the width, four times the rate.

    By the square, and not by the width itself (Yang 2022), so that one recipe reaches from what a SAM of width 128 needs in a
    few dozen steps (1e-3) to what SAM's ViT-B is fine-tuned with (3e-5).
    """
    if optim.lr_width is None:
        return optim.lr_encoder
    return optim.lr_encoder * (optim.lr_width / sam.width) ** 2


def schedule(kept: Kept, num_steps: int) -> Callable[[int], float]:
    """The rates' factor at a step: a student that is kept must come to rest; a teacher is the mean of one that does not."""
    return partial(cosine, num_steps=num_steps) if kept == "student" else lambda step: 1.0


def cosine(step: int, num_steps: int) -> float:
    """The rate's factor at a step: 1 at the first, 0 after the last (Loshchilov 2017)."""
    return 0.5 * (1 + math.cos(math.pi * min(step / num_steps, 1.0)))


def finite_gradients(optimizer: Optimizer) -> bool:
    """Whether all of them are numbers; on every rank alike, for they are the sum over the ranks."""
    groups = optimizer.param_groups
    gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
    if not gradients:
        return True
    return bool(torch.stack(torch._foreach_norm(gradients)).isfinite().all())


def take_rates(checkpoint: Mapping[str, Any], groups: Sequence[Mapping[str, Any]]) -> None:
    """Give a checkpoint's optimiser and schedule the rates and decay of these groups; a rate that was halved stays so.

    Raises InputError where it optimised other weights, as with `alpha` 0, which has no head to learn, and above 0.
    """
    saved = checkpoint["optimizer_states"][0]["param_groups"]
    if [len(group["params"]) for group in saved] != [len(group["params"]) for group in groups]:
        raise InputError(
            "the checkpoint's optimiser had other weights than config.yaml says; put config.yaml back as it was"
        )
    ratios = [new["lr"] / old["initial_lr"] for new, old in zip(groups, saved, strict=True)]
    for new, old, ratio in zip(groups, saved, ratios, strict=True):
        old["lr"] *= ratio
        old |= {"initial_lr": new["lr"], "weight_decay": new["weight_decay"]}
    running = checkpoint["lr_schedulers"][0]
    running["base_lrs"] = [
        rate * ratio for rate, ratio in zip(running["base_lrs"], ratios, strict=True)
    ]


def start_again_at_half_rate(optimizers: Sequence[Optimizer], schedules: Sequence[Any]) -> None:
    """For weights that were put back: the old moments would push them where they came from."""
    for optimizer in optimizers:
        optimizer.state.clear()
        for group in optimizer.param_groups:
            group["lr"] /= 2  # the next step's, which the schedule has already set
    for running in schedules:
        running.scheduler.base_lrs = [rate / 2 for rate in running.scheduler.base_lrs]


def _select(named: dict[str, nn.Parameter], *, decays: bool) -> Iterator[nn.Parameter]:
    for name, parameter in named.items():
        is_table = "pos_embed" in name or "rel_pos" in name
        if (parameter.dim() > 1 and not is_table) == decays:
            yield parameter

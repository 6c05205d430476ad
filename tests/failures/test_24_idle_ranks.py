"""Row 24: where one of two ranks has nothing to learn, for whatever reason, both take the same steps within a minute and stay equal to the last bit; where neither has, no weight moves."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tiny import disc_batch, tiny_sam, without_objects
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ringsam.batch import Batch
from ringsam.config import MethodConfig, OptimConfig
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation
from ringsam.training.optim import parameter_groups

STEPS = 3
SEED = {"entropy_thresh": 0.7}
MASKS = {"alpha": 0.0, "self_training": 1.0, "box_constraint": 0.5, "pixel_contrast": 0.1}
REASONS: dict[str, tuple[dict, set[int]]] = {  # settings of both, and which ranks have nothing
    "no trusted mask": (SEED, {1}),
    "no anchor": (SEED, {1}),
    "no object": (SEED, {1}),
    "nothing outside the big box": (SEED, {1}),
    "no object, nothing gathered": (SEED | {"gather_negatives": False}, {1}),
    "no object, masks trained": (MASKS | {"random_orientation": True}, {1}),
    "no object on either": (SEED, {0, 1}),
}


def without(batch: Batch, reason: str) -> Batch:
    if reason == "no anchor":
        return replace(batch, extents=torch.zeros_like(batch.extents))
    if reason == "nothing outside the big box":
        whole = torch.tensor([0.0, 0.0, 64.0, 64.0]).expand_as(batch.big_boxes)
        return replace(batch, big_boxes=whole.clone())
    if reason == "no trusted mask":
        return batch
    return without_objects(batch)


class Step(nn.Module):
    """A step as what DistributedDataParallel wraps."""

    def __init__(self, adaptation: Adaptation) -> None:
        super().__init__()
        self.adaptation = adaptation

    def forward(self, batch: Batch, number: int) -> tuple[torch.Tensor, bool]:
        output = self.adaptation.step(batch, Draws(0, number))
        return output.loss, output.signal


def learn(rank: int, reason: str) -> dict[str, object]:
    """Three steps as training takes them; what came of each, and the weights before and after."""
    settings, idle = REASONS[reason]
    if reason == "no trusted mask" and rank in idle:
        settings = settings | {"entropy_thresh": 0.0}
    adaptation = Adaptation(tiny_sam(), MethodConfig(**settings))
    wrapped = DistributedDataParallel(Step(adaptation), broadcast_buffers=False)
    optimizer = torch.optim.AdamW(parameter_groups(adaptation, OptimConfig(lr_encoder=1e-3)))
    before, signals = flat(adaptation), []
    for number in range(STEPS):
        batch = disc_batch(seed=2 * number + rank)
        loss, signal = wrapped(without(batch, reason) if rank in idle else batch, number)
        loss.backward()
        if not signal:
            optimizer.zero_grad(set_to_none=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        signals.append(signal)
    return {"before": before, "after": flat(adaptation), "signals": torch.tensor(signals)}


def flat(adaptation: Adaptation) -> torch.Tensor:
    parts = adaptation.trained_parts()
    return torch.cat([p.detach().flatten() for part in parts for p in part.values()])


def work(rank: int, folder: Path) -> None:
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    for number, reason in enumerate(REASONS):
        began = time.monotonic()
        found = learn(rank, reason)
        found["seconds"] = torch.tensor(time.monotonic() - began)
        torch.save(found, folder / f"{number}-{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, list[dict[str, torch.Tensor]]]:
    """What both ranks found in each case; ranks that wait for each other are killed."""
    folder = tmp_path_factory.mktemp("ranks")
    ranks = mp.spawn(work, args=(folder,), nprocs=2, join=False)
    deadline = time.monotonic() + 60 * len(REASONS)
    while not ranks.join(timeout=5):
        if time.monotonic() > deadline:
            for process in ranks.processes:
                process.kill()
            raise TimeoutError("the ranks wait for each other")
    return {
        reason: [torch.load(folder / f"{number}-{rank}.pt") for rank in range(2)]
        for number, reason in enumerate(REASONS)
    }


@pytest.mark.slow
@pytest.mark.parametrize("reason", REASONS)
def test_both_ranks_take_the_same_steps_and_stay_equal(found, reason):
    first, second = found[reason]
    assert torch.equal(first["after"], second["after"]) and first["after"].isfinite().all()
    assert first["signals"].tolist() == second["signals"].tolist()
    assert max(first["seconds"], second["seconds"]) < 60
    somebody_learns = REASONS[reason][1] != {0, 1}
    assert first["signals"].tolist() == [somebody_learns] * STEPS
    assert torch.equal(first["before"], first["after"]) != somebody_learns

"""Two processes that share a batch: what they compute together is what one would."""

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tiny import disc_batch, tiny_sam, without_objects
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ringsam.batch import Batch
from ringsam.config import MethodConfig
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation
from ringsam.method.ranks import GlobalBatchNorm, gather_rows, sum_over_ranks

ROWS = torch.arange(20.0).view(5, 4)
IMAGES = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def run_on_two_ranks(work, folder: Path) -> list:
    ranks = mp.spawn(_rank, args=(work, folder), nprocs=2, join=False)
    deadline = time.monotonic() + 120  # the watchdog: a hang fails
    while not ranks.join(timeout=5):
        if time.monotonic() > deadline:
            for process in ranks.processes:
                process.kill()
            raise TimeoutError("the ranks wait for each other")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def _rank(rank: int, work, folder: Path) -> None:
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    torch.save(work(rank), folder / f"{rank}.pt")
    dist.destroy_process_group()


def gather_and_weigh(rank: int) -> list[torch.Tensor]:
    mine = (ROWS[:3] if rank == 0 else ROWS[3:]).clone().requires_grad_()
    everyone = gather_rows(mine)
    (everyone.square().sum() * (rank + 1)).backward()
    return [everyone.detach(), mine.grad]


def gather_nothing_here(rank: int) -> list[torch.Tensor]:
    mine = (ROWS[:0] if rank == 0 else ROWS).clone().requires_grad_()
    everyone = gather_rows(mine)
    everyone.sum().backward()
    return [everyone.detach(), mine.grad]


def normalise(rank: int) -> list[torch.Tensor]:
    norm, images = GlobalBatchNorm(3), IMAGES[2 * rank : 2 * rank + 2].clone().requires_grad_()
    out = norm(images)
    out.pow(3).sum().backward()
    weight = sum_over_ranks(norm.weight.grad)
    return [out.detach(), images.grad, norm.running_mean, norm.running_var, weight]


class Step(nn.Module):
    """A step as what DistributedDataParallel wraps."""

    def __init__(self, adaptation: Adaptation) -> None:
        super().__init__()
        self.adaptation = adaptation

    def forward(self, batch: Batch) -> torch.Tensor:
        output = self.adaptation.step(batch, Draws(0, 0))
        assert output.signal  # both ranks agree that somebody has something to teach
        return output.loss


def without(batch: Batch, what: str) -> Batch:
    """The batch in which nothing can be learned, for this reason."""
    if what == "no anchor":
        return replace(batch, extents=torch.zeros_like(batch.extents))
    return without_objects(batch)


def step_with_an_empty_rank(rank: int, *, what: str) -> list[torch.Tensor]:
    settings = MethodConfig(entropy_thresh=0.7, gather_negatives=what != "nothing gathered")
    adaptation = Adaptation(tiny_sam(), settings)
    batch = disc_batch(seed=rank)
    wrapped = DistributedDataParallel(Step(adaptation))
    wrapped(without(batch, what) if rank == 1 else batch).backward()
    return [p.grad for p in adaptation.parameters() if p.requires_grad]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["no anchor", "no object", "nothing gathered"])
def test_a_rank_without_any_signal_does_not_hang(tmp_path, what):
    work = partial(step_with_an_empty_rank, what=what)
    first, second = run_on_two_ranks(work, tmp_path)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert any(gradient.any() for gradient in first)


@pytest.mark.slow
def test_rows_of_all_ranks_are_gathered_with_their_gradients(tmp_path):
    first, second = run_on_two_ranks(gather_and_weigh, tmp_path)
    assert torch.equal(first[0], ROWS) and torch.equal(second[0], ROWS)
    assert torch.equal(torch.cat([first[1], second[1]]), 2 * ROWS * (1 + 2))


@pytest.mark.slow
def test_a_rank_without_rows_takes_part(tmp_path):
    first, second = run_on_two_ranks(gather_nothing_here, tmp_path)
    assert torch.equal(first[0], ROWS) and torch.equal(second[0], ROWS)
    assert first[1].shape == (0, 4) and torch.equal(second[1], torch.full((5, 4), 2.0))


@pytest.mark.slow
def test_batchnorm_over_two_ranks_equals_one_over_the_whole_batch(tmp_path):
    first, second = run_on_two_ranks(normalise, tmp_path)
    norm, images = nn.BatchNorm2d(3), IMAGES.clone().requires_grad_()
    out = norm(images)
    out.pow(3).sum().backward()
    torch.testing.assert_close(torch.cat([first[0], second[0]]), out.detach())
    torch.testing.assert_close(torch.cat([first[1], second[1]]), images.grad)
    for part in (first, second):
        torch.testing.assert_close(part[2], norm.running_mean)
        torch.testing.assert_close(part[3], norm.running_var)
        torch.testing.assert_close(part[4], norm.weight.grad)


def test_one_rank_is_left_as_it_is():
    assert sum_over_ranks(ROWS) is ROWS
    assert gather_rows(ROWS) is ROWS


def test_batchnorm_on_one_rank_is_torchs():
    norm, plain = GlobalBatchNorm(3), nn.BatchNorm2d(3)
    torch.testing.assert_close(norm(IMAGES), plain(IMAGES))
    torch.testing.assert_close(norm.running_mean, plain.running_mean)
    torch.testing.assert_close(norm.running_var, plain.running_var)
    assert torch.equal(norm.eval()(IMAGES), norm(IMAGES))

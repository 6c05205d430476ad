"""Two processes that share a batch: what they compute together is what one would."""

import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from ringsam.method.ranks import GlobalBatchNorm, gather_rows, sum_over_ranks

ROWS = torch.arange(20.0).view(5, 4)
IMAGES = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))


def run_on_two_ranks(folder: Path) -> list:
    ranks = mp.spawn(_rank, args=(folder,), nprocs=2, join=False)
    deadline = time.monotonic() + 120  # the watchdog: a hang fails
    while not ranks.join(timeout=5):
        if time.monotonic() > deadline:
            for process in ranks.processes:
                process.kill()
            raise TimeoutError("the ranks wait for each other")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def _rank(rank: int, folder: Path) -> None:
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    torch.save({work.__name__: work(rank) for work in WORKS}, folder / f"{rank}.pt")
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


WORKS = (gather_and_weigh, gather_nothing_here, normalise)


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, tuple[list[torch.Tensor], list[torch.Tensor]]]:
    """What both ranks made of each work, by its name."""
    first, second = run_on_two_ranks(tmp_path_factory.mktemp("ranks"))
    return {work.__name__: (first[work.__name__], second[work.__name__]) for work in WORKS}


@pytest.mark.slow
def test_rows_of_all_ranks_are_gathered_with_their_gradients(found):
    first, second = found["gather_and_weigh"]
    assert torch.equal(first[0], ROWS) and torch.equal(second[0], ROWS)
    assert torch.equal(torch.cat([first[1], second[1]]), 2 * ROWS * (1 + 2))


@pytest.mark.slow
def test_a_rank_without_rows_takes_part(found):
    first, second = found["gather_nothing_here"]
    assert torch.equal(first[0], ROWS) and torch.equal(second[0], ROWS)
    assert first[1].shape == (0, 4) and torch.equal(second[1], torch.full((5, 4), 2.0))


@pytest.mark.slow
def test_batchnorm_over_two_ranks_equals_one_over_the_whole_batch(found):
    first, second = found["normalise"]
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

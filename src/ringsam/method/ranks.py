"""One batch spread over ranks: sums, shared rows and batch statistics, each the identity on one rank."""

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

Rows = Float[Tensor, "n c"]


def num_ranks() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class _Sum(torch.autograd.Function):
    """All-reduce whose backward is one, too."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        summed = tensor.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        summed = gradient.contiguous().clone()
        dist.all_reduce(summed)
        return summed


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The sum; gradients flow back to every rank's part."""
    if num_ranks() == 1:
        return tensor
    summed: Tensor = _Sum.apply(tensor)
    return summed


def from_first_rank(tensor: Tensor) -> Tensor:
    """The first rank's value, on every rank; shapes must agree."""
    if num_ranks() > 1:
        dist.broadcast(tensor, src=0)
    return tensor


def share_of(count: Tensor) -> Tensor:
    """This rank's part of a count, times the number of ranks: what makes a mean over ranks the mean over all rows."""
    return count * num_ranks() / sum_over_ranks(count.clone()).clamp(min=1)


def gather_rows(rows: Rows) -> Rows:
    """The rows of all ranks, in the order of ranks; gradients flow back to each rank's own."""
    if num_ranks() == 1:
        return rows
    rank = dist.get_rank()
    counts = torch.zeros(num_ranks(), dtype=torch.long, device=rows.device)
    counts[rank] = len(rows)
    dist.all_reduce(counts)
    ends = counts.cumsum(0)
    everyone = rows.new_zeros((int(ends[-1]), rows.shape[1]))
    start = int(ends[rank]) - len(rows)
    place = torch.arange(start, start + len(rows), device=rows.device)
    return sum_over_ranks(everyone.index_add(0, place, rows))


class GlobalBatchNorm(nn.BatchNorm2d):
    """BatchNorm over the batch of all ranks (torch's SyncBatchNorm needs a GPU; this one runs anywhere).

    A batch with a NaN does not stay in the running statistics, so that the next one is sound again.
    """

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        if not self.training:
            return super().forward(features)
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        values = features.float()
        count = values.new_tensor([values.numel() / values.shape[1]])
        total = sum_over_ranks(torch.cat([values.sum(dim=(0, 2, 3)), count]))
        num, mean = total[-1], total[:-1] / total[-1]
        centered = values - mean[:, None, None]
        variance = sum_over_ranks(centered.square().sum(dim=(0, 2, 3))) / num
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            unbiased = variance * num / (num - 1)
            for kept, new in ((self.running_mean, mean), (self.running_var, unbiased)):
                kept.lerp_(torch.where(new.isfinite(), new, kept), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centered * scale[:, None, None] + self.bias[:, None, None]).to(features.dtype)

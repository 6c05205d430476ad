"""Batches in an order that depends on (seed, epoch) alone."""

import math
from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from ringsam.batch import Batch, Sample, collate


class TwoBoxLoader(L.LightningDataModule):
    """The order of an epoch, dealt out over the ranks; a run that was interrupted within one goes on after its last step."""

    def __init__(
        self, dataset: Dataset[Sample], *, batch_size: int, num_workers: int, seed: int
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed

    def batches(self, trainer: L.Trainer) -> dict[str, int]:
        """What decides which images a batch has: a checkpoint within an epoch can be gone on with where it is the same."""
        return {
            "num_images": len(self.dataset),  # type: ignore[arg-type]
            "batch_size": self.batch_size,
            "accumulate": trainer.accumulate_grad_batches,
            "num_ranks": trainer.world_size,
            "seed": self.seed,
        }

    def state_dict(self) -> dict[str, Any]:
        assert self.trainer is not None
        return self.batches(self.trainer)

    def train_dataloader(self) -> DataLoader[Sample]:
        assert self.trainer is not None
        loop = self.trainer.fit_loop
        order = EpochOrder(
            self.dataset,
            num_replicas=self.trainer.world_size,
            rank=self.trainer.global_rank,
            seed=self.seed,
        )
        loader = DataLoader(
            EachOnce(self.dataset),
            batch_size=self.batch_size,
            sampler=order,
            collate_fn=collate,
            num_workers=self.num_workers,
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
            persistent_workers=self.num_workers > 0,
        )
        # After a checkpoint was read; worker processes ask for the order before Lightning tells the epoch
        epoch = loop.epoch_progress.current
        within = epoch.ready > epoch.processed  # type: ignore[attr-defined]
        num_batches = loop.epoch_loop.batch_progress.current.ready if within else 0
        order.begin(epoch.processed, done=num_batches * self.batch_size)  # type: ignore[attr-defined]
        return loader

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        return batch.to(device)


class EachOnce(Dataset[Sample]):
    """Beyond its end the data begins anew without objects, for ranks whose last turn has no image left: no object teaches or
    counts twice. (Distillation, which asks for no object, sees those images twice.)"""

    def __init__(self, dataset: Dataset[Sample]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[index % len(self)]
        return sample if index < len(self) else sample.without_objects()


class EpochOrder(DistributedSampler[int]):
    """A rank's part of an epoch's order; of the epoch it begins with, what is not done.

    Every rank has as many turns: where images are missing for the last, some come again, with numbers beyond the data's end.
    """

    def begin(self, epoch: int, *, done: int) -> None:
        self.set_epoch(epoch)
        self.first_epoch, self.done = epoch, done

    def __iter__(self) -> Iterator[int]:
        given, size = list(super().__iter__()), len(self.dataset)  # type: ignore[arg-type]
        turns = range(self.rank, self.total_size, self.num_replicas)
        indices = [i if turn < size else size + i for i, turn in zip(given, turns, strict=True)]
        return iter(indices[self.done :] if self.epoch == self.first_epoch else indices)


def num_optimizer_steps(trainer: L.Trainer) -> int:
    """Of the whole run. Lightning's own estimate would have the loader begin before the checkpoint is read."""
    assert trainer.max_epochs is not None
    num_batches = len(trainer.datamodule.train_dataloader())  # type: ignore[attr-defined]
    return math.ceil(num_batches / trainer.accumulate_grad_batches) * trainer.max_epochs

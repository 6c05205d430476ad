"""Row 25: of data that ranks cannot share evenly, or of fewer images than ranks, each object counts once: in training's log, in what teaches, in predictions."""

import json

import pytest
import torch
from disc_data import write_disc_data
from processes import train_flags
from torch.utils.data import Dataset

from ringsam.batch import collate
from ringsam.bulk import predict_files
from ringsam.data.dataset import TwoBoxDataset, read_two_boxes
from ringsam.runs import RunFolder
from ringsam.sam.preprocess import Preprocess
from ringsam.training.loader import EachOnce, EpochOrder


def shared_out(dataset: Dataset, num_ranks: int, epoch: int) -> list[list[int]]:
    """What each rank is dealt, in its turns."""
    orders = [EpochOrder(dataset, num_replicas=num_ranks, rank=r, seed=3) for r in range(num_ranks)]
    for order in orders:
        order.begin(0, done=0)
        order.set_epoch(epoch)
    return [list(order) for order in orders]


@pytest.mark.parametrize(("num_images", "num_ranks"), [(7, 2), (6, 2), (7, 3), (1, 2), (2, 5)])
def test_ranks_have_as_many_turns_and_every_image_once_with_its_objects(num_images, num_ranks):
    for epoch in range(3):
        dealt = shared_out(list(range(num_images)), num_ranks, epoch)
        assert len({len(turns) for turns in dealt}) == 1
        first = [index for turns in dealt for index in turns if index < num_images]
        assert sorted(first) == list(range(num_images))


@pytest.mark.parametrize("labels", ["two_boxes.json", "annotations.json"])
def test_an_image_that_comes_again_has_no_objects(disc_data, labels):
    data = read_two_boxes(disc_data / labels)
    images = EachOnce(
        TwoBoxDataset(data.images, Preprocess(64), with_masks=data.has_masks, with_colours=True)
    )
    again = collate([images[len(images) + 2]])
    assert torch.equal(again.images[0], images[2].image)
    assert again.num_objects == len(again.big_boxes) == len(again.colour_masks) == 0
    assert (again.gt_masks is None) == (not data.has_masks)  # as on the other ranks
    assert len(images[2].object_ids) == 3


@pytest.mark.slow
@pytest.mark.parametrize(("labels", "num_images"), [("two_boxes.json", 1), ("annotations.json", 7)])
def test_two_ranks_count_what_one_counts(sam_folder, tmp_path, two_ranks, num_images, labels):
    data = write_disc_data(tmp_path / "data", num_images=num_images, per_image=2) / labels
    out = tmp_path / "run"
    both = {"optim__batch_size": 1, "hardware__devices": 2, "hardware__rank_timeout_s": 100}
    flags = train_flags(sam_folder, out, num_epochs=2, **both)
    assert two_ranks("train", data, *flags) == [0, 0]
    for row in RunFolder(out).read_epochs():
        assert row["num_objects"] == 2 * num_images
        assert row["num_trusted"] <= 2 * num_images
        assert row["num_steps"] == (num_images + 1) // 2


@pytest.mark.parametrize(("num_images", "num_ranks"), [(7, 2), (1, 2)])
def test_ranks_that_predict_give_every_object_once(
    sam_folder, tmp_path, monkeypatch, num_images, num_ranks
):
    data = write_disc_data(tmp_path / "data", num_images=num_images, per_image=2)
    monkeypatch.setenv("WORLD_SIZE", str(num_ranks))
    said = []
    for rank in range(num_ranks):
        monkeypatch.setenv("RANK", str(rank))
        boxes, out = data / "two_boxes.json", tmp_path / "masks"
        said.append(predict_files(sam_folder, data / "images", boxes, out, shard_size=1))
    ending = f"{2 * num_images} masks on {num_images} images"
    assert sum(ending in line for line in said) == 1
    assert sum("has done its shards" in line for line in said) == num_ranks - 1
    rows = json.loads((tmp_path / "masks" / "masks.json").read_text())["annotations"]
    assert sorted(row["id"] for row in rows) == list(range(1, 2 * num_images + 1))

"""Which checkpoints stay beside the newest."""

from pathlib import Path

import pytest

from ringsam.training.keeping import outdated


@pytest.mark.parametrize(
    ("before", "newest", "kept"),
    [
        (["0000", "0001"], "0002", ["0001", "0002"]),
        (["0000", "0001"], "0002-step=10", ["0000", "0001", "0002-step=10"]),
        # Another devices' run could go on from neither of the two within an epoch
        (["0000", "0001", "0002-step=10"], "0002-step=20", ["0000", "0001", "0002-step=20"]),
        (["0000", "0001", "0002-step=20"], "0002", ["0001", "0002"]),
        ([], "0000-step=10", ["0000-step=10"]),
        # Damaged ones, or of other batches: gone on from the start instead
        (["0002", "0003-step=10"], "0000", ["0000"]),
    ],
)
def test_epoch_ends_stay_and_the_newest_within_an_epoch(before, newest, kept):
    def path(name: str) -> Path:
        return Path("checkpoints") / f"epoch={name}.ckpt"

    there = sorted(path(name) for name in [*before, newest])
    gone = outdated(there, newest=path(newest))
    assert [p for p in there if p not in gone] == [path(name) for name in kept]


def test_what_the_disk_did_not_take_makes_nothing_outdated():
    there = [Path(f"epoch=000{i}.ckpt") for i in range(4)]
    assert outdated(there, newest=Path("epoch=0004.ckpt")) == []

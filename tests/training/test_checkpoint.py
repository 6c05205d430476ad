"""Checkpoints that are whole, or refused."""

import pickle
from pathlib import Path

import pytest
import torch

from ringsam.errors import InputError
from ringsam.training import checkpoint
from ringsam.training.checkpoint import (
    VerifiedCheckpointIO,
    newest_checkpoint,
    read_checkpoint,
    remove_orphans,
)

CONTENT = {"sam_image_encoder": {"weight": torch.ones(3)}, "epoch": 1}


def write(path: Path, content=CONTENT) -> Path:
    VerifiedCheckpointIO().save_checkpoint(content, path)
    return path


class Hostile:
    """Makes a file when it is unpickled carelessly."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_what_was_written_is_read(tmp_path):
    path = write(tmp_path / "a.ckpt")
    assert torch.equal(read_checkpoint(path)["sam_image_encoder"]["weight"], torch.ones(3))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.ckpt", "a.ckpt.sha256"]


@pytest.mark.parametrize("tenth", range(10))
def test_a_cut_checkpoint_is_refused(tmp_path, tenth):
    path = write(tmp_path / "a.ckpt")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * tenth // 10])
    with pytest.raises(InputError, match="cut or altered"):
        read_checkpoint(path)


def test_an_altered_checkpoint_is_refused(tmp_path):
    path = write(tmp_path / "a.ckpt")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="cut or altered"):
        read_checkpoint(path)


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path):
    touched = tmp_path / "touched"
    path = write(tmp_path / "a.ckpt", {**CONTENT, "evil": Hostile(touched)})
    with pytest.raises(InputError, match="refused"):
        read_checkpoint(path)
    assert not touched.exists()
    pickle.loads(pickle.dumps(Hostile(touched)))
    assert touched.exists()  # it would have


def test_a_checkpoint_without_its_digest_is_refused(tmp_path):
    path = write(tmp_path / "a.ckpt")
    path.with_name("a.ckpt.sha256").unlink()
    with pytest.raises(InputError, match="missing"):
        read_checkpoint(path)


def test_a_write_that_fails_leaves_the_old_checkpoint_and_is_told(tmp_path, monkeypatch, capsys):
    path = write(tmp_path / "a.ckpt")

    def full_disk(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.torch, "save", full_disk)
    write(path)
    assert "NOT SAVED" in capsys.readouterr().out
    assert read_checkpoint(path)["epoch"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.ckpt", "a.ckpt.sha256"]


def test_the_newest_readable_checkpoint_is_found_and_the_others_named(tmp_path):
    write(tmp_path / "epoch=0000.ckpt")
    good = write(tmp_path / "epoch=0001.ckpt")
    write(tmp_path / "epoch=0002.ckpt").write_bytes(b"gone")
    found, refused = newest_checkpoint(tmp_path)
    assert found == good
    assert len(refused) == 1 and "epoch=0002" in refused[0]
    assert newest_checkpoint(tmp_path / "empty") == (None, [])


def test_one_within_an_epoch_is_gone_on_with_by_the_same_batches_alone(tmp_path):
    whole, batches = write(tmp_path / "epoch=0000.ckpt"), {"num_images": 6, "batch_size": 2}
    within = write(tmp_path / "epoch=0001-step=7.ckpt", {**CONTENT, "TwoBoxLoader": batches})
    assert newest_checkpoint(tmp_path, batches=batches) == (within, [])
    found, refused = newest_checkpoint(tmp_path, batches={"num_images": 6, "batch_size": 1})
    assert found == whole
    assert len(refused) == 1 and "lies within an epoch, which other batches" in refused[0]


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    write(tmp_path / "epoch=0000.ckpt")
    (tmp_path / ".epoch=0001.ckpt.unfinished").write_bytes(b"half")
    (tmp_path / ".epoch=0001.ckpt.sha256.7.unfinished").write_bytes(b"half")
    (tmp_path / "epoch=0001.ckpt.sha256").write_bytes(b"whose?")
    remove_orphans(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "epoch=0000.ckpt",
        "epoch=0000.ckpt.sha256",
    ]

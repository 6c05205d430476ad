"""Row 29: where memory runs out, the cache is emptied and half the images go at once in twice the turns, for the same step; where one image is too many, exit code 2 with the numbers."""

import re

import pytest
import torch
from processes import adapted, same, train_flags

import ringsam.training.run
from ringsam.cli import main
from ringsam.method.adaptation import Adaptation
from ringsam.runs import RunFolder

ERRORS = {
    "torch's own": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "the driver's": RuntimeError("CUDA error: out of memory"),
    "cuBLAS's": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
    "the processor's": RuntimeError("DefaultCPUAllocator: can't allocate memory: 8589934592 bytes"),
    "Python's": MemoryError(),
}


@pytest.fixture
def refuses(monkeypatch):
    """From so many images at once on, a step fails with this error; notes how many it was asked with."""

    def refuse(error: Exception, *, above: int) -> list[int]:
        step, asked = Adaptation.step, []

        def limited(self, batch, draws):
            asked.append(len(batch.images))
            if len(batch.images) > above:
                raise error
            return step(self, batch, draws)

        monkeypatch.setattr(Adaptation, "step", limited)
        return asked

    return refuse


def train(data, sam, out, *, at_once: int, **others) -> int:
    flags = train_flags(sam, out, num_epochs=1, optim__batch_size=at_once, **others)
    return main(["train", str(data), *map(str, flags)])


@pytest.mark.parametrize("whose", ERRORS)
def test_half_the_images_go_at_once_in_twice_the_turns(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys, refuses, whose
):
    emptied, free = [], ringsam.training.run.free_memory
    monkeypatch.setattr(ringsam.training.run, "free_memory", lambda: emptied.append(None) or free())
    asked = refuses(ERRORS[whose], above=3)
    out = tmp_path / "run"
    assert train(disc_data, sam_folder, out, at_once=6) == 0
    assert asked == [6, 3, 3] and len(emptied) == 1
    flags = "--optim.batch_size 3 --optim.accumulate 2"
    assert f"out of memory with 6 images at once; going on with {flags}" in capsys.readouterr().out
    kept = RunFolder(out).read_config().optim
    assert (kept.batch_size, kept.accumulate) == (3, 2)


def test_what_goes_on_is_the_run_that_these_flags_make(disc_data, sam_folder, tmp_path, refuses):
    refuses(ERRORS["torch's own"], above=3)
    assert train(disc_data, sam_folder, tmp_path / "run", at_once=6) == 0
    asked = {"at_once": 3, "optim__accumulate": 2}
    assert train(disc_data, sam_folder, tmp_path / "asked", **asked) == 0
    assert same(adapted(tmp_path / "run"), adapted(tmp_path / "asked"))


def test_one_image_that_does_not_fit_is_told_with_the_numbers(
    disc_data, sam_folder, tmp_path, capsys, refuses
):
    asked = refuses(ERRORS["torch's own"], above=0)
    assert train(disc_data, sam_folder, tmp_path / "run", at_once=2) == 2
    assert asked == [2, 1, 1]  # the last with checkpointing
    said = capsys.readouterr().err
    (free,) = re.findall(
        r"out of memory with one image at 64 px; ([\d,]+) MB are free on cpu without it", said
    )
    assert int(free.replace(",", "")) > 0
    assert "take a smaller --data.input_size" in said and "Traceback" not in said
    assert said.endswith("in a new run (another --out)\n")


def test_another_error_is_not_taken_for_it(disc_data, sam_folder, tmp_path, refuses):
    refuses(RuntimeError("mat1 and mat2 shapes cannot be multiplied"), above=0)
    with pytest.raises(RuntimeError, match="shapes"):
        train(disc_data, sam_folder, tmp_path / "run", at_once=2)

"""Row 36: a resume on other devices keeps the images of a step; changed data or method is exit code 2 with the difference shown, unless --allow_change."""

import os
import shutil
import signal

import pytest
from processes import adapted, same, train_flags
from safetensors.torch import load_file
from torch.testing import assert_close

from ringsam.cli import main
from ringsam.config import Config, read_config
from ringsam.errors import InputError
from ringsam.runs import RunFolder
from ringsam.training.changes import with_devices
from ringsam.training.checkpoint import read_checkpoint
from ringsam.training.keeping import Checkpoints
from ringsam.training.run import resume, train


@pytest.fixture(scope="module")
def run(disc_data, sam_folder, tmp_path_factory):
    """A finished run, with data of its own to change."""
    place = tmp_path_factory.mktemp("changed")
    shutil.copytree(disc_data, place / "data")
    flags = train_flags(sam_folder, place / "run", num_epochs=2, optim__batch_size=2)
    assert main(["train", str(place / "data"), *map(str, flags)]) == 0
    return place / "run"


def copy_of(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "adapted")
    return RunFolder(tmp_path / "run")


def test_a_changed_setting_is_shown_and_refused_unless_allowed(run, tmp_path, capsys):
    folder = copy_of(run, tmp_path)
    text = folder.config.read_text().replace("temperature: 0.1\n", "temperature: 0.2\n")
    folder.config.write_text(text.replace("batch_size: 2\n", "batch_size: 3\n"))
    assert main(["resume", str(folder.path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"ringsam resume: 2 change(s) since {folder.path} was started")
    assert said[0].endswith("or go on all the same with --allow_change:")
    assert said[1] == "method.temperature: was 0.1, is 0.2"
    assert said[2] == "images to a step, over all devices: was 2, is 3"
    assert not folder.adapted.exists()
    assert main(["resume", str(folder.path), "--allow_change"]) == 0
    assert "method.temperature: was 0.1, is 0.2" in capsys.readouterr().out
    assert folder.adapted.exists()
    assert main(["resume", str(folder.path)]) == 0  # the change is the run's now


def test_rates_that_are_changed_are_those_it_goes_on_with(run, tmp_path):
    folder = copy_of(run, tmp_path)
    text = folder.config.read_text().replace("lr_encoder: 0.001\n", "lr_encoder: 0.0005\n")
    text = text.replace("weight_decay: 0.0001\n", "weight_decay: 0.02\n")
    folder.config.write_text(text.replace("epochs: 2\n", "epochs: 3\n"))
    assert main(["resume", str(folder.path), "--allow_change"]) == 0
    content = read_checkpoint(folder.checkpoints / "epoch=0002.ckpt")
    group = content["optimizer_states"][0]["param_groups"][0]
    assert (group["initial_lr"], group["weight_decay"]) == (0.0005, 0.02)
    assert content["lr_schedulers"][0]["base_lrs"][0] == 0.0005


@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_other_batches_go_over_all_the_images_of_the_next_epoch(run, tmp_path, batch_size):
    folder = copy_of(run, tmp_path)
    text = folder.config.read_text().replace("batch_size: 2\n", f"batch_size: {batch_size}\n")
    folder.config.write_text(text.replace("epochs: 2\n", "epochs: 3\n"))
    assert main(["resume", str(folder.path), "--allow_change"]) == 0
    assert [row["num_objects"] for row in folder.read_epochs()] == [18, 18, 18]


def test_images_held_out_from_now_on_judge_from_here(run, tmp_path, capsys):
    folder = copy_of(run, tmp_path)
    text = folder.config.read_text().replace("held_out: 0.0\n", "held_out: 0.3\n")
    folder.config.write_text(text.replace("epochs: 2\n", "epochs: 5\n"))
    (folder.checkpoints / "epoch=0000.ckpt").unlink()
    assert main(["resume", str(folder.path), "--allow_change"]) == 0
    assert len(folder.read_epochs()) > 2
    assert "kept epoch 0" not in capsys.readouterr().out


def test_where_others_are_held_out_they_judge_from_here(disc_data, sam_folder, tmp_path):
    config = Config(
        weights=str(sam_folder), epochs=1, optim={"batch_size": 2}, data={"held_out": 0.2}
    )
    folder = RunFolder(train(disc_data, tmp_path / "run", config))
    text = folder.config.read_text().replace("held_out: 0.2\n", "held_out: 0.5\n")
    folder.config.write_text(text.replace("epochs: 1\n", "epochs: 2\n"))
    resume(folder.path, allow_change=True)
    assert [row["num_objects"] for row in folder.read_epochs()] == [15, 9]


def test_a_head_that_was_not_trained_cannot_be_from_now_on(run, tmp_path, capsys):
    folder = copy_of(run, tmp_path)
    folder.config.write_text(folder.config.read_text().replace("alpha: 1.0\n", "alpha: 0.0\n"))
    assert main(["resume", str(folder.path), "--allow_change"]) == 2
    assert "had other weights than config.yaml says" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        ("input_size: null", "input_size: 64", "data.input_size: was None, is 64"),
        ("weights: ", "weights: nano #", "weights: was "),
    ],
)
def test_what_the_original_was_made_with_no_run_can_change(run, tmp_path, capsys, old, new, row):
    folder = copy_of(run, tmp_path)
    folder.config.write_text(folder.config.read_text().replace(old, new))
    assert main(["resume", str(folder.path), "--allow_change"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "put it back, or train a new run" in said[0] and said[1].startswith(row)


def test_weights_of_another_shape_are_refused_in_words(run, tmp_path, capsys):
    folder = copy_of(run, tmp_path)
    text = folder.config.read_text()
    folder.config.write_text(text.replace("proj_dim: 64\n", "proj_dim: 32\n"))
    assert main(["resume", str(folder.path), "--allow_change"]) == 2
    assert "the checkpoint has other weights in `proj`" in capsys.readouterr().err


def test_what_another_process_trains_by_is_not_changed(run, tmp_path, capsys):
    folder = copy_of(run, tmp_path)
    before = folder.config.read_text(), folder.data_note.read_text()
    with folder.held():
        assert main(["resume", str(folder.path), "--precision", "bf16-mixed"]) == 2
    assert "another process is training in it" in capsys.readouterr().err
    assert (folder.config.read_text(), folder.data_note.read_text()) == before


def test_fewer_epochs_than_were_learned_are_refused(run, tmp_path, capsys):
    folder = copy_of(run, tmp_path)
    folder.config.write_text(folder.config.read_text().replace("epochs: 2\n", "epochs: 1\n"))
    assert main(["resume", str(folder.path), "--allow_change"]) == 2
    said = capsys.readouterr().err
    assert f"has learned 2 epochs, of 1; raise epochs in {folder.config} to 2 or more" in said


def test_changed_data_is_shown_and_refused_unless_allowed(run, tmp_path, capsys):
    folder, data = copy_of(run, tmp_path), run.parent / "data"
    image = data / "images" / "2.png"
    before = image.read_bytes()
    image.write_bytes(before + b"more")
    try:
        assert main(["resume", str(folder.path)]) == 2
        assert capsys.readouterr().err.splitlines()[1] == "2.png: was changed"
        assert main(["resume", str(folder.path), "--allow_change"]) == 0
        assert "2.png: was changed" in capsys.readouterr().out
    finally:
        image.write_bytes(before)


def test_speed_and_place_may_change(run, tmp_path):
    folder = copy_of(run, tmp_path)
    text = folder.config.read_text().replace("num_workers: 0", "num_workers: 1")
    folder.config.write_text(text.replace("cache_gb: 2.0", "cache_gb: 1.0"))
    assert main(["resume", str(folder.path), "--precision", "bf16-mixed"]) == 0
    assert read_config(folder.config).hardware.precision == "bf16-mixed"


def test_on_other_devices_a_step_has_the_same_images():
    config = Config(optim={"batch_size": 3}, hardware={"devices": 2})
    one = with_devices(config, 1)
    assert (one.optim.batch_size, one.hardware.devices) == (6, 1)
    assert with_devices(one, 2) == config
    with pytest.raises(InputError, match="--devices 4: a step has 6 images at once; take a number"):
        with_devices(config, 4)


@pytest.mark.slow
def test_two_ranks_go_on_as_one_and_one_as_two(
    disc_data, sam_folder, tmp_path, two_ranks, monkeypatch, capsys
):
    """2 -> 1 -> 2 devices, an epoch each, at the seed's own rates; the weights are those of one device throughout."""
    rates = {"optim.lr_encoder": 2e-6, "hardware.rank_timeout_s": 120}
    one = train_flags(sam_folder, tmp_path / "one", num_epochs=3, optim__batch_size=6, **rates)
    assert main(["train", str(disc_data), *map(str, one)]) == 0
    out = tmp_path / "moved"
    both = {"num_epochs": 3, "optim__batch_size": 3, "hardware__devices": 2}
    flags = train_flags(sam_folder, out, **both, **rates)
    assert two_ranks("train", disc_data, *flags, code=TOLD_IN_THE_FIRST_EPOCH) == [143, 143]
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "on_train_epoch_end", told_to_end)
        assert main(["resume", str(out), "--devices", "1"]) == 143
    assert "from epoch=0000.ckpt" in capsys.readouterr().out
    assert two_ranks("resume", out, "--devices", 2) == [0, 0]
    kept = read_config(RunFolder(out).config)
    assert (kept.optim.batch_size, kept.hardware.devices) == (3, 2)
    expected, found = adapted(tmp_path / "one"), adapted(out)
    for name in expected:
        assert_close(found[name], expected[name], rtol=1e-5, atol=1e-5)
    assert not same(load_file(RunFolder(out).original / "model.safetensors"), found)


end_of_epoch = Checkpoints.on_train_epoch_end


def told_to_end(self, trainer, pl_module):
    """After the epoch's checkpoint."""
    end_of_epoch(self, trainer, pl_module)
    os.kill(os.getpid(), signal.SIGTERM)


# One of the ranks alone is told; both end.
TOLD_IN_THE_FIRST_EPOCH = """
import os, signal, sys
from ringsam.training.keeping import Checkpoints
end = Checkpoints.on_train_epoch_end
def told(self, trainer, module):
    end(self, trainer, module)
    if trainer.global_rank == 1:
        os.kill(os.getpid(), signal.SIGTERM)
Checkpoints.on_train_epoch_end = told
from ringsam.cli import main
sys.exit(main(sys.argv[1:]))
"""

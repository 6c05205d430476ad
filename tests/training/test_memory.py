"""Memory: counted in real steps, foretold for others, and survived where it runs out."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning.fabric import Fabric
from safetensors.torch import load_file
from tiny import disc_batch, tiny_sam
from torch.optim import AdamW

from ringsam.config import Config, read_config
from ringsam.data.dataset import read_two_boxes
from ringsam.draws import Draws
from ringsam.errors import InputError
from ringsam.feature_cache import FeatureCache
from ringsam.method.adaptation import Adaptation
from ringsam.runs import RunFolder
from ringsam.sam.weights import load_sam
from ringsam.training import memory, plan
from ringsam.training.build import build_loader, build_module
from ringsam.training.memory import TensorBytes, smaller, step_memory
from ringsam.training.optim import parameter_groups
from ringsam.training.plan import make_plan
from ringsam.training.run import train


def settings(sam: Path, *, batch_size: int = 4, checkpointing: bool = False) -> Config:
    return Config(
        weights=str(sam),
        epochs=2,
        method={"self_training": 1.0, "alpha": 0.0, "prompts": "box"},
        optim={"lr_encoder": 1e-3, "batch_size": batch_size},
        hardware={"checkpointing": checkpointing},
    )


@pytest.mark.parametrize("turns", [False, True])
def test_what_the_kept_features_take_is_foretold(turns):
    config = Config(epochs=60, method={"prompts": "box", "random_orientation": turns})
    cache, batch = FeatureCache(1 << 30), replace(disc_batch(), image_keys=("a", "b"))
    adaptation = Adaptation(tiny_sam(), config.method, cache=cache)
    with torch.no_grad():
        for epoch in range(config.epochs):
            adaptation.step(batch, Draws(0, epoch))
    assert plan.cache_bytes(adaptation.sam, config, len(batch.images)) == cache.used_bytes


def test_bytes_are_counted_once_and_forgotten_when_they_go():
    given = torch.zeros(1000)
    with TensorBytes([given, given.view(10, 100)]) as counted:
        assert counted.alive == 4000
        made = given + 1
        view = made[:10]
        assert counted.alive == 8000
        del made
        assert counted.alive == 8000  # the view holds it
        del view
        assert (counted.alive, counted.peak) == (4000, 8000)
        counted.restart()
        assert counted.peak == 4000


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_peak_of_six_images_is_foretold_from_one_and_two(disc_data, sam_folder, checkpointing):
    config = settings(sam_folder, checkpointing=checkpointing)
    sam = load_sam(sam_folder, input_size=256)
    module = build_module(sam, config)
    samples = build_loader(read_two_boxes(disc_data), sam, config).dataset
    chosen = [samples[i] for i in range(6)]
    fabric = Fabric(accelerator="cpu", devices=1)
    foretold = step_memory(module.adaptation, chosen[:2], config, fabric).of(6)

    adaptation = module.adaptation
    optimizer = AdamW(parameter_groups(adaptation, config.optim))
    with TensorBytes.of(adaptation) as counted:
        for _ in range(2):
            counted.restart()
            memory.take_step(adaptation, chosen, optimizer, fabric)
    assert foretold == pytest.approx(counted.peak, rel=0.15)


def test_less_memory_holds_the_same_images_a_step():
    config, ways = Config(optim={"batch_size": 6}), []
    while config is not None:
        ways.append(
            (config.optim.batch_size, config.optim.accumulate, config.hardware.checkpointing)
        )
        config = smaller(config)
    assert ways == [(6, 1, False), (3, 2, False), (1, 6, False), (1, 6, True)]


def test_the_plan_takes_the_first_way_that_fits(disc_data, sam_folder, monkeypatch):
    data, config = read_two_boxes(disc_data), settings(sam_folder)
    roomy = make_plan(data, config)
    assert roomy.chosen.config == config
    assert "fit as they are" in roomy.text()

    whole = roomy.chosen.predicted / 0.6
    monkeypatch.setattr(plan, "free_bytes", lambda device: int(0.9 * whole) + 50_000)
    tight = make_plan(data, config)
    assert tight.chosen.config.optim.batch_size < 4
    assert tight.chosen.config.optim.batch_size * tight.chosen.config.optim.accumulate == 4
    assert f"--optim.batch_size {tight.chosen.config.optim.batch_size}" in tight.text()

    monkeypatch.setattr(plan, "free_bytes", lambda device: 1000)
    hopeless = make_plan(data, config)
    assert hopeless.chosen is None
    assert len(hopeless.candidates) == 4
    assert "nothing fits" in hopeless.text()


def out_of_memory_above(num_images: int, monkeypatch, *, from_epoch: int = 0) -> None:
    step = Adaptation.step

    def limited(self, batch, draws):
        if len(batch.images) > num_images and draws.epoch >= from_epoch:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return step(self, batch, draws)

    monkeypatch.setattr(Adaptation, "step", limited)


@pytest.mark.parametrize("from_epoch", [0, 1])
def test_out_of_memory_goes_on_with_fewer_images_at_once(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys, from_epoch
):
    out_of_memory_above(1, monkeypatch, from_epoch=from_epoch)
    run = RunFolder(train(disc_data, tmp_path / "run", settings(sam_folder)))
    printed = capsys.readouterr().out
    assert "out of memory with 4 images at once" in printed
    assert "out of memory with 2 images at once" in printed
    assert f"from {'epoch=0000.ckpt' if from_epoch else 'the start'}" in printed
    kept = read_config(run.config).optim
    assert (kept.batch_size, kept.accumulate) == (1, 4)
    assert [(row["epoch"], row["num_objects"]) for row in run.read_epochs()] == [(1, 18), (2, 18)]
    if from_epoch == 0:
        asked = settings(sam_folder, batch_size=1)
        asked = type(asked)(**{**vars(asked), "optim": kept})
        same = RunFolder(train(disc_data, tmp_path / "same", asked))
        one, other = (load_file(r.adapted / "model.safetensors") for r in (run, same))
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_no_room_for_one_image_is_a_user_error_with_a_mend(
    disc_data, sam_folder, tmp_path, monkeypatch
):
    out_of_memory_above(0, monkeypatch)
    with pytest.raises(
        InputError, match=r"out of memory with one image at 64 px; .*; take a smaller"
    ):
        train(disc_data, tmp_path / "run", settings(sam_folder))


def test_auto_batch_trains_as_the_plan_says(disc_data, sam_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(
        plan, "step_memory", lambda *_: memory.StepMemory(one=100, two=free_at_least())
    )
    config = settings(sam_folder)
    config = type(config)(**{**vars(config), "hardware": {"auto_batch": True}})
    run = RunFolder(train(disc_data, tmp_path / "run", config))
    kept = read_config(run.config).optim
    assert (kept.batch_size, kept.accumulate) == (1, 4)


def test_ranks_do_not_plan_each_for_itself(disc_data, sam_folder, tmp_path):
    config = settings(sam_folder)
    config = type(config)(**{**vars(config), "hardware": {"auto_batch": True, "devices": 2}})
    with pytest.raises(InputError, match="flags that `ringsam plan` prints"):
        train(disc_data, tmp_path / "run", config)


def free_at_least() -> int:
    return memory.free_bytes(torch.device("cpu")) * 2


def test_a_containers_limit_is_what_there_is(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CONTAINER", tmp_path)
    alone = memory.free_bytes(torch.device("cpu"))
    assert memory.container_bytes() == [] and alone > 10**7  # no container
    (tmp_path / "memory.current").write_text("4000000\n")
    (tmp_path / "memory.stat").write_text("anon 1000000\ninactive_file 3000000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.container_bytes() == []
    (tmp_path / "memory.max").write_text("5000000\n")
    assert memory.free_bytes(torch.device("cpu")) == 5_000_000 - 4_000_000 + 3_000_000

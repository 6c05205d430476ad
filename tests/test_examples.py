"""The examples run."""

import math

import pytest
import torch
from safetensors.torch import load_file
from transformers import SamModel

from examples.plain_loop import main
from ringsam.sam.weights import load_sam, save_folder


@pytest.mark.parametrize("recipe", ["best", "seed"])
def test_the_method_runs_in_a_plain_loop_and_its_weights_load_elsewhere(
    disc_data, tmp_path, recipe
):
    save_folder(load_sam("nano"), tmp_path / "original")
    losses = main(disc_data, 2, "nano", recipe, tmp_path / "adapted")
    assert len(losses) == 2 and all(math.isfinite(loss) and loss > 0 for loss in losses)
    before, after = (
        load_file(tmp_path / name / "model.safetensors") for name in ("original", "adapted")
    )
    assert before.keys() == after.keys()
    assert all(value.isfinite().all() for value in after.values())
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved and all(name.startswith("vision_encoder.") for name in moved)
    loaded = SamModel.from_pretrained(tmp_path / "adapted").state_dict()
    assert all(torch.equal(loaded[name], after[name]) for name in moved)

"""The examples run."""

from transformers import SamModel

from examples.plain_loop import main


def test_the_method_runs_in_a_plain_loop_and_its_weights_load_elsewhere(
    disc_data, sam_folder, tmp_path
):
    losses = main(disc_data, 2, str(sam_folder), tmp_path / "adapted")
    assert len(losses) == 2
    assert SamModel.from_pretrained(tmp_path / "adapted").config.model_type == "sam"

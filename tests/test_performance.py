"""The performance benchmark: both sides of a ratio do the work, and every goal can be measured."""

import pytest
import torch

from benchmarks.figures import Figure, Options, OurStep, Work, batch_of, seed_method
from benchmarks.models import metas_sam, randomize, transformers_sam
from benchmarks.performance import main as measure
from benchmarks.schedules import SeedSchedule, WesamSchedule
from ringsam.draws import Draws


@pytest.mark.slow
@pytest.mark.parametrize("k", [0, 2])
def test_the_fields_schedule_and_ours_do_the_same_work(k, monkeypatch):
    """Both steps move the encoder, on the same batch, and the field's calls the whole encoder four times and once an object."""
    work = Work("small", 64, num_images=2, per_image=2)
    model = randomize(transformers_sam("small", image_size=64, attention="eager"), seed=0)
    field, batch = SeedSchedule(model, seed_method(k)), batch_of(work)
    passes = []
    for tower in (field.student, field.teacher, field.original):
        tower.vision_encoder.register_forward_hook(lambda *_: passes.append("encoder"))
        tower.mask_decoder.register_forward_hook(lambda *_: passes.append("decoder"))
    before = [p.clone() for p in field.student.vision_encoder.parameters()]
    field.step(batch, Draws(0, 0))
    after = field.student.vision_encoder.parameters()
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert (passes.count("encoder"), passes.count("decoder")) == (4, 8)

    ours = OurStep(work, seed_method(k), cached=True)
    first = [p.clone() for p in ours.adaptation.trained_parts().encoder.values()]
    ours()
    then = ours.adaptation.trained_parts().encoder.values()
    assert any(not torch.equal(a, b) for a, b in zip(first, then, strict=True))


@pytest.mark.slow
def test_wesams_schedule_moves_its_low_rank_updates():
    sam = metas_sam("small", image_size=64)
    wesam = WesamSchedule(sam)
    learned = [p for p in sam.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in learned]
    wesam.step(batch_of(Work("small", 64, num_images=2, per_image=2)))
    assert len(learned) == 4 * 4  # two updates of two matrices in each of four blocks
    assert any(not torch.equal(a, b) for a, b in zip(before, learned, strict=True))


@pytest.mark.slow
def test_every_goal_of_a_gpu_can_be_measured_in_small_on_the_cpu(tmp_path):
    options = Options(
        gpu=True, sizes=("small",), image_size=64, device="cpu", rounds=1, table=tmp_path / "t.md"
    )
    measure(options)
    text = (tmp_path / "t.md").read_text()
    for goal in ("P9", "P10", "P11", "P12", "P18"):
        assert f"| {goal} |" in text


def test_a_figure_is_held_against_its_goal():
    assert Figure("P1", "a", 2.0, "x", at_least=2.0).met
    assert not Figure("P1", "a", 1.9, "x", at_least=2.0).met
    assert not Figure("P4", "a", 0.1, "", at_most=0).met
    assert "**missed**" in Figure("P4", "a", 0.1, "", at_most=0).row()

"""Which rate and which decay a parameter gets, and how the rate falls."""

import pytest
from tiny import tiny_sam

from ringsam.config import MethodConfig, OptimConfig
from ringsam.method.adaptation import Adaptation
from ringsam.training.optim import cosine, encoder_rate, parameter_groups, schedule

OPTIM = OptimConfig(lr_encoder=2e-6, lr_head=1e-3, weight_decay=0.05)


def build(**method) -> Adaptation:
    return Adaptation(tiny_sam(), MethodConfig(**method))


def settings_by_name(adaptation: Adaptation) -> dict[str, tuple[float, float]]:
    """Rate and decay of each parameter that learns."""
    names = {id(p): name for name, p in adaptation.named_parameters()}
    groups = parameter_groups(adaptation, OPTIM)
    return {
        names[id(p)]: (group["lr"], group["weight_decay"])
        for group in groups
        for p in group["params"]
    }


def test_the_encoder_and_the_head_have_their_own_rates():
    rates = {name: rate for name, (rate, _) in settings_by_name(build()).items()}
    for name, rate in rates.items():
        assert rate == (OPTIM.lr_head if name.startswith("student.head.") else OPTIM.lr_encoder)
    assert set(rates.values()) == {OPTIM.lr_encoder, OPTIM.lr_head}


def test_only_matrices_decay():
    decays = {name: decay for name, (_, decay) in settings_by_name(build()).items()}
    exempt = ("norm", "pos_embed", "rel_pos_h", "rel_pos_w", ".bias", "head.layers.1.")
    for name, decay in decays.items():
        spared = any(part in name for part in exempt)
        assert decay == (0 if spared else OPTIM.weight_decay), name
    for part in exempt:
        assert any(part in name for name in decays), part
    for matrix in ("layers.0.mlp.lin1.weight", "patch_embed.projection.weight"):
        assert decays[f"sam.model.vision_encoder.{matrix}"] == OPTIM.weight_decay
    for matrix in ("layers.0.weight", "layers.3.weight"):
        assert decays[f"student.head.{matrix}"] == OPTIM.weight_decay


@pytest.mark.parametrize(
    "method", [{}, {"unfreeze_last_k": 1}, {"unfreeze_last_k": 2, "train_neck": False}]
)
def test_every_trained_parameter_is_given_exactly_once(method):
    adaptation = build(**method)
    given = [id(p) for group in parameter_groups(adaptation, OPTIM) for p in group["params"]]
    assert len(given) == len(set(given))
    assert set(given) == {id(p) for p in adaptation.parameters() if p.requires_grad}


def test_the_rate_falls_as_a_cosine_from_one_to_zero():
    assert cosine(0, 40) == 1
    assert cosine(20, 40) == pytest.approx(0.5)
    assert cosine(40, 40) == pytest.approx(0, abs=1e-12)
    factors = [cosine(step, 40) for step in range(41)]
    assert factors == sorted(factors, reverse=True)


def test_the_rate_stays_zero_after_the_last_step():
    assert [cosine(step, 40) for step in (41, 60, 80, 1000)] == pytest.approx([0] * 4, abs=1e-12)


def test_the_rate_stays_where_the_teacher_is_kept():
    assert [schedule("teacher", 40)(step) for step in range(41)] == [1] * 41
    falling = schedule("student", 40)
    assert [falling(step) for step in range(41)] == [cosine(step, 40) for step in range(41)]


def test_an_encoder_of_half_the_width_learns_at_four_times_the_rate():
    sam = tiny_sam()
    assert encoder_rate(sam, OptimConfig(lr_encoder=2e-4)) == 2e-4
    scaled = OptimConfig(lr_encoder=2e-4, lr_width=2 * sam.width)
    assert encoder_rate(sam, scaled) == pytest.approx(8e-4)

"""The promises of one step: what learns, what does not, and what nothing may see."""

import copy
from dataclasses import replace

import pytest
import torch
from tiny import disc_batch, tiny_sam

from ringsam.config import MethodConfig
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation
from ringsam.method.prompts import make_prompts

TRUSTING = 0.7  # above ln 2, so that a random SAM's masks are trusted
DRAWS = Draws(seed=3, epoch=0)


def build(**settings) -> Adaptation:
    return Adaptation(tiny_sam(), MethodConfig(**{"entropy_thresh": TRUSTING, **settings}), seed=1)


def gradients(adaptation: Adaptation) -> dict[str, torch.Tensor]:
    named = adaptation.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


def one_optimizer_step(adaptation: Adaptation, **changes) -> None:
    output = adaptation.step(replace(disc_batch(), **changes), DRAWS)
    output.loss.backward()
    learning = [p for p in adaptation.parameters() if p.requires_grad]
    torch.optim.AdamW(learning, lr=1e-3).step()
    adaptation.update_teacher()


@pytest.mark.parametrize("random_orientation", [False, True])
@pytest.mark.parametrize("prompts", ["ring", "box", "box+core", "mixed"])
def test_the_ground_truth_never_changes_loss_or_gradients(prompts, random_orientation):
    seen = []
    for change in (lambda m: m, lambda m: ~m, lambda m: None):
        adaptation = build(prompts=prompts, random_orientation=random_orientation)
        batch = disc_batch()
        batch = replace(batch, gt_masks=change(batch.gt_masks))
        output = adaptation.step(batch, DRAWS)
        monitors = adaptation.monitor(output)
        output.loss.backward()
        seen.append((output.loss.detach(), gradients(adaptation), monitors))
    (loss, grads, monitors), *others = seen
    assert others[0][2]["miou"] != monitors["miou"]  # the monitor does see it
    for other_loss, other_grads, _ in others:
        assert torch.equal(loss, other_loss)
        assert grads.keys() == other_grads.keys()
        assert all(torch.equal(grads[name], other_grads[name]) for name in grads)


def test_monitors_carry_no_graph_and_are_named_after_what_they_compare_with():
    adaptation, batch = build(), disc_batch()
    output = adaptation.step(batch, DRAWS)
    known = adaptation.monitor(output)
    unknown = adaptation.monitor(replace(output, batch=replace(batch, gt_masks=None)))
    assert set(known) == {"mask_loss", "iou_loss", "miou", "total"}
    assert set(unknown) == {f"{name}_pseudo" for name in known}
    assert not any(value.requires_grad for value in {**known, **unknown}.values())


def test_the_logged_total_is_the_seeds_sum():
    adaptation, batch = build(), disc_batch()
    output = adaptation.step(batch, DRAWS)
    logged = adaptation.monitor(output)
    expected = (
        logged["mask_loss"]
        + 1.0 * output.terms["contrast"]
        + 0.5 * logged["iou_loss"]
        + 0.1 * output.terms["distill"]
    )
    torch.testing.assert_close(logged["total"], expected.detach())


@pytest.mark.parametrize("unfreeze_last_k", [0, 1, 2])
@pytest.mark.parametrize("train_neck", [True, False])
def test_only_the_chosen_part_of_the_encoder_and_the_head_move(unfreeze_last_k, train_neck):
    adaptation = build(unfreeze_last_k=unfreeze_last_k, train_neck=train_neck)
    before = {name: p.clone() for name, p in adaptation.named_parameters()}
    one_optimizer_step(adaptation)
    moved = {n for n, p in adaptation.named_parameters() if not torch.equal(p, before[n])}
    encoder = "sam.model.vision_encoder."
    model = ("prompt_encoder", "mask_decoder", "shared_image")
    for part in (*(f"sam.model.{name}" for name in model), "frozen.original."):
        assert any(name.startswith(part) for name in before), part
        assert not any(name.startswith(part) for name in moved), part
    depth = 3
    for i in range(depth):
        is_trained = unfreeze_last_k == 0 or i >= depth - unfreeze_last_k
        assert (f"{encoder}layers.{i}.mlp.lin1.weight" in moved) == is_trained
    assert (f"{encoder}pos_embed" in moved) == (unfreeze_last_k == 0)
    neck_trains = unfreeze_last_k == 0 or train_neck
    assert (f"{encoder}neck.conv2.weight" in moved) == neck_trains
    assert any(name.startswith("student.head") for name in moved)


def test_the_teacher_gets_no_gradient_and_stays_in_eval():
    adaptation = build()
    adaptation.train()
    before = {name: t.clone() for name, t in adaptation.teacher.state_dict().items()}
    adaptation.step(disc_batch(), DRAWS).loss.backward()
    assert all(p.grad is None for p in adaptation.teacher.parameters())
    assert not any(module.training for module in adaptation.teacher.modules())
    after = adaptation.teacher.state_dict()  # BatchNorm's statistics among it
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_prompts_are_shared_by_teacher_and_student():
    adaptation, batch = build(prompts="ring"), disc_batch()
    asked = []
    decode = adaptation.sam.decode
    adaptation.sam.decode = lambda e, i, prompts, **options: (
        asked.append(prompts) or decode(e, i, prompts, **options)
    )
    adaptation.monitor(adaptation.step(batch, DRAWS))
    assert len(asked) == 2
    assert asked[0] is asked[1]


def test_distillation_is_zero_before_the_first_step_and_not_after_it():
    adaptation = build()
    assert adaptation.step(disc_batch(), DRAWS).terms["distill"] == 0
    one_optimizer_step(adaptation)
    assert adaptation.step(disc_batch(), DRAWS).terms["distill"] > 0


def test_distillation_holds_to_the_original_not_to_student_or_teacher():
    adaptation = build(ema_decay=0.0)  # the teacher is the student
    for _ in range(3):
        one_optimizer_step(adaptation)
    batch = disc_batch()
    original = tiny_sam().encode(batch.images)
    student = adaptation.sam.encode(batch.images)
    expected = (student - original).square().mean()
    torch.testing.assert_close(adaptation.step(batch, DRAWS).terms["distill"], expected)


@pytest.mark.parametrize("unfreeze_last_k", [1, 2])
def test_the_shared_trunk_equals_three_separate_passes(unfreeze_last_k):
    adaptation, batch = build(unfreeze_last_k=unfreeze_last_k), disc_batch()
    whole = tiny_sam()
    trunk = adaptation.sam.encode_trunk(batch.images)
    apart = whole.encode(batch.images)
    assert torch.equal(adaptation.student(trunk).embedding, apart)
    assert torch.equal(adaptation.teacher(trunk).embedding, apart)
    assert torch.equal(adaptation.frozen.original(trunk), apart)
    adaptation.student(trunk).embedding.square().mean().backward()
    apart.square().mean().backward()
    separate = dict(whole.model.vision_encoder.named_parameters())
    for name, parameter in adaptation.trained_parts().encoder.items():
        expected = separate[name].grad
        error = (parameter.grad - expected).abs().max() / expected.abs().max()
        assert error <= 1e-6, name


def test_checkpointing_changes_no_gradient():
    seen = []
    for checkpointing in (False, True):
        config = MethodConfig(entropy_thresh=TRUSTING, unfreeze_last_k=2)
        adaptation = Adaptation(tiny_sam(), config, seed=1, checkpointing=checkpointing)
        adaptation.step(disc_batch(), DRAWS).loss.backward()
        seen.append(gradients(adaptation))
    assert all(torch.equal(seen[0][name], seen[1][name]) for name in seen[0])


@pytest.mark.parametrize("case", ["nobody trusted", "no objects", "no anchors"])
def test_a_step_without_signal_is_a_zero_that_keeps_the_graph(case):
    settings = {"nobody trusted": {"entropy_thresh": 0.0}}.get(case, {})
    adaptation, batch = build(**settings), disc_batch()
    if case == "no objects":
        none = slice(0, 0)
        batch = replace(
            batch,
            big_boxes=batch.big_boxes[none],
            small_boxes=batch.small_boxes[none],
            image_index=batch.image_index[none],
            object_ids=batch.object_ids[none],
            gt_masks=batch.gt_masks[none],
        )
    if case == "no anchors":  # nothing of the images is real
        batch = replace(batch, extents=torch.zeros_like(batch.extents))
    output = adaptation.step(batch, DRAWS)
    monitors = adaptation.monitor(output)
    output.loss.backward()
    assert output.terms["contrast"] == 0
    assert (output.loss == 0) and not output.signal
    assert all(value.isfinite() for value in monitors.values())
    learning = [p for p in adaptation.parameters() if p.requires_grad]
    assert all(p.grad is not None and not p.grad.any() for p in learning)


def test_an_encoder_has_no_more_blocks_to_train_than_it_has():
    with pytest.raises(ValueError, match="has 3 blocks"):
        build(unfreeze_last_k=4)


def test_learning_the_discs_lowers_the_loss():
    adaptation = build()
    optimizer = torch.optim.AdamW([p for p in adaptation.parameters() if p.requires_grad], lr=1e-3)
    losses = []
    for _ in range(12):
        output = adaptation.step(disc_batch(), DRAWS)
        losses.append(output.loss.item())
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        adaptation.update_teacher()
    assert losses[-1] < 0.7 * losses[0]


def test_the_ground_truth_never_changes_what_masks_and_colours_teach():
    settings = {"self_training": 1.0, "box_constraint": 0.5, "colour_vote": 0.5}
    colours = (
        disc_batch().gt_masks[:, None].roll(3, dims=3)
    )  # a colour model's guess, beside the truth
    seen = []
    for change in (lambda m: m, lambda m: ~m, lambda m: None):
        adaptation = build(**settings)
        batch = replace(disc_batch(), colour_masks=colours)
        batch = replace(batch, gt_masks=change(batch.gt_masks))
        output = adaptation.step(batch, DRAWS)
        monitors = adaptation.monitor(output)
        output.loss.backward()
        seen.append((output, gradients(adaptation), monitors))
    (output, grads, monitors), *others = seen
    assert all(output.terms[name] > 0 for name in ("self_training", "box_constraint"))
    assert others[0][2]["miou"] != monitors["miou"]  # the monitor does see it
    for other, other_grads, _ in others:
        assert torch.equal(output.loss, other.loss)
        assert all(torch.equal(output.terms[name], other.terms[name]) for name in output.terms)
        assert grads.keys() == other_grads.keys()
        assert all(torch.equal(grads[name], other_grads[name]) for name in grads)


def test_the_colours_are_seen_where_they_have_a_vote():
    batch = disc_batch()
    colours = batch.gt_masks[:, None].roll(3, dims=3)
    losses = {
        (vote, seen): build(self_training=1.0, colour_vote=vote)
        .step(replace(batch, colour_masks=colours if seen else None), DRAWS)
        .terms["self_training"]
        for vote in (0.0, 0.5)
        for seen in (True, False)
    }
    assert losses[0.5, True] != losses[0.5, False]
    assert torch.equal(losses[0.0, True], losses[0.0, False])


def test_a_teacher_that_surely_sees_nothing_is_trusted_but_teaches_nothing():
    """What `has_signal` is for: an empty mask has no entropy, and no cell to learn from."""
    adaptation, batch = build(entropy_thresh=1e-9), disc_batch()
    decode = adaptation.sam.decode

    def decode_nothing(*arguments, **options):
        decoded = decode(*arguments, **options)
        return decoded._replace(logits=torch.full_like(decoded.logits, -50.0))

    adaptation.sam.decode = decode_nothing
    output = adaptation.step(batch, DRAWS)
    assert output.pseudo.trusted.all()
    assert output.contrast.num_missed > 0
    assert output.loss == 0 and not output.signal


def test_mixed_prompts_ask_now_with_the_box_and_now_with_its_core():
    batch = disc_batch()
    asked = [
        make_prompts(batch, "mixed", num_points=3, draws=Draws(0, epoch)) for epoch in range(12)
    ]
    with_core = [prompts.points is not None for prompts in asked]
    assert 2 < sum(with_core) < 10
    for epoch, prompts in enumerate(asked):
        policy = "box+core" if with_core[epoch] else "box"
        same = make_prompts(batch, policy, num_points=3, draws=Draws(0, epoch))
        assert torch.equal(prompts.boxes, same.boxes)
        assert prompts.points is None or torch.equal(prompts.points, same.points)


def test_the_encoder_that_is_kept_is_the_students_or_the_teachers():
    for kept in ("student", "teacher"):
        adaptation = build(kept=kept, unfreeze_last_k=1)
        one_optimizer_step(adaptation)
        encoder = adaptation.trained_parts().encoder
        student = {name: weight.detach().clone() for name, weight in encoder.items()}
        same = [
            torch.equal(weight, student[name]) for name, weight in adaptation.kept_encoder().items()
        ]
        assert all(same) if kept == "student" else not any(same)


@pytest.mark.parametrize("kept", ["student", "teacher"])
@pytest.mark.parametrize("blocks", [0, 1])
def test_what_is_kept_encodes_as_its_weights_do(kept, blocks):
    adaptation, batch = build(kept=kept, unfreeze_last_k=blocks), disc_batch()
    for _ in range(3):
        one_optimizer_step(adaptation)
    with torch.no_grad():
        by_student = adaptation.sam.encode(batch.images)
    found = adaptation.encode_kept(batch.images)
    assert torch.allclose(found, by_student, atol=1e-5) == (kept == "student")
    adaptation.use_encoder(adaptation.kept_encoder())
    with torch.no_grad():
        assert torch.allclose(found, adaptation.sam.encode(batch.images), atol=1e-5)


def test_a_contrast_without_weight_is_not_made_and_its_head_does_not_learn():
    adaptation = build(alpha=0.0, self_training=1.0)
    head = {name: weight.clone() for name, weight in adaptation.student.head.named_parameters()}
    one_optimizer_step(adaptation)
    output = adaptation.step(disc_batch(), DRAWS)
    assert output.contrast is None and "contrast" not in output.terms and output.signal
    assert not adaptation.trained_parts().head
    assert all(torch.equal(w, head[n]) for n, w in adaptation.student.head.named_parameters())


def test_what_was_learned_is_put_back_whole():
    adaptation = build(kept="teacher")
    one_optimizer_step(adaptation)
    learned = copy.deepcopy(adaptation.learned())
    one_optimizer_step(adaptation)
    now = adaptation.learned()
    assert not any(all_equal(now[part], learned[part]) for part in learned)
    adaptation.load_learned(learned)
    assert all(all_equal(adaptation.learned()[part], learned[part]) for part in learned)


def all_equal(one, other) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)

"""The teacher's average, against its closed form."""

import copy

import torch
from torch import nn

from ringsam.method.teacher import EmaTeacher
from ringsam.method.tower import PixelProjectionHead, Tower


def build_student(*, dtype: torch.dtype = torch.float32) -> Tower:
    torch.manual_seed(0)
    tail = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1))
    tail[0].requires_grad_(False)
    return Tower(tail, PixelProjectionHead(8, 4)).to(dtype)


def test_the_average_equals_its_closed_form_in_fp32():
    student = build_student()
    teacher = EmaTeacher(student, ema_decay=0.999)
    weight = student.head.layers[0].weight
    start, decay, steps = weight.detach().double(), 0.999, 200
    expected = start.clone()
    with torch.no_grad():
        for step in range(1, steps + 1):
            weight.add_(0.01)
            teacher.update(student)
            expected += (1 - decay) * decay ** (steps - step) * 0.01 * step
    own = teacher.tower.head.layers[0].weight
    assert own.dtype == torch.float32
    torch.testing.assert_close(own.double(), expected, rtol=1e-5, atol=1e-6)


def test_the_teacher_moves_in_fp32_even_for_a_student_in_half_precision():
    student = build_student(dtype=torch.bfloat16)
    teacher = EmaTeacher(student, ema_decay=0.999)
    before = copy.deepcopy(teacher.tower.state_dict())
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.mul_(1.01)
    for _ in range(10):
        teacher.update(student)
    for name, weight in teacher.tower.named_parameters():
        assert weight.dtype == torch.float32
        if name != "tail.0.weight" and before[name].any() and "tail.0" not in name:
            assert not torch.equal(weight, before[name]), name


def test_frozen_weights_are_left_alone_to_the_last_bit():
    student = build_student()
    teacher = EmaTeacher(student, ema_decay=0.9)
    frozen = teacher.tower.tail[0].weight.clone()
    for _ in range(100):
        teacher.update(student)
    assert torch.equal(teacher.tower.tail[0].weight, frozen)


def test_the_batchnorm_statistics_of_the_student_are_taken_over():
    student = build_student().train()
    teacher = EmaTeacher(student, ema_decay=0.999)
    student(torch.randn(2, 3, 4, 4) + 5)
    assert not torch.equal(
        teacher.tower.head.layers[1].running_mean, student.head.layers[1].running_mean
    )
    teacher.update(student)
    assert torch.equal(
        teacher.tower.head.layers[1].running_mean, student.head.layers[1].running_mean
    )


def test_the_teacher_stays_in_eval_and_out_of_the_graph_when_all_else_is_trained():
    teacher = EmaTeacher(build_student(), ema_decay=0.999)
    nn.ModuleList([teacher]).train()
    assert not any(module.training for module in teacher.modules())
    before = copy.deepcopy(teacher.state_dict())
    features = teacher(torch.randn(2, 3, 4, 4, requires_grad=True))
    assert not features.projection.requires_grad
    assert not any(weight.requires_grad for weight in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_features_have_unit_length():
    features = build_student()(torch.randn(2, 3, 4, 4))
    torch.testing.assert_close(features.projection.norm(dim=1), torch.ones(2, 4, 4))

"""Row 26: BatchNorm over one image, one pixel, or under mixed precision gives finite features, gradients and statistics; a step on one image trains."""

import pytest
import torch
from processes import adapted, train_flags
from safetensors.torch import load_file

from ringsam.cli import main
from ringsam.method.ranks import GlobalBatchNorm
from ringsam.runs import RunFolder


@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (1, 4, 8, 8), (3, 4, 1, 1)])
@pytest.mark.parametrize("half", [False, True])
def test_whatever_there_is_to_average_is_finite(shape, half):
    norm, features = GlobalBatchNorm(4), (3 * torch.randn(shape)).requires_grad_()
    for _ in range(3):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            out = norm(features.bfloat16() if half else features)
        out.float().square().sum().backward()
    tensors = [out, features.grad, norm.weight.grad, norm.bias.grad]
    tensors += [norm.running_mean, norm.running_var]
    assert all(tensor.isfinite().all() for tensor in tensors)
    assert norm.running_mean.dtype == norm.running_var.dtype == torch.float32
    assert norm.eval()(features).isfinite().all()


def test_one_pixel_is_its_own_mean():
    norm = GlobalBatchNorm(4)
    out = norm(torch.full((1, 4, 1, 1), 7.0))
    assert torch.equal(out, torch.zeros_like(out))
    assert torch.equal(norm.running_var, torch.ones(4))  # of one value there is none


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_one_image_at_once_trains(disc_data, sam_folder, tmp_path, precision):
    out = tmp_path / "run"
    single = {"optim__batch_size": 1, "hardware__precision": precision}
    assert main(["train", str(disc_data), *map(str, train_flags(sam_folder, out, num_epochs=1, **single))]) == 0  # fmt: skip
    before, after = load_file(RunFolder(out).original / "model.safetensors"), adapted(out)
    assert all(weight.isfinite().all() for weight in after.values())
    assert any(not torch.equal(before[name], after[name]) for name in before)
    (row,) = RunFolder(out).read_epochs()
    assert row["num_steps_not_finite"] == 0 and row["num_steps"] == 6

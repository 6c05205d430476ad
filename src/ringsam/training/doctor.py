"""`ringsam doctor`: before hours of training, one step that proves what the method promises, on this data and this machine."""

import math
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
import transformers
from torch import Tensor
from torch.optim import AdamW

from ringsam.batch import Batch, collate
from ringsam.config import Config
from ringsam.data.check import check
from ringsam.data.dataset import read_two_boxes
from ringsam.data.findings import finding_lines
from ringsam.draws import Draws
from ringsam.method.adaptation import Adaptation, StepOutput
from ringsam.sam.weights import load_sam
from ringsam.training.build import build_fabric, build_loader, build_module
from ringsam.training.optim import parameter_groups
from ringsam.training.space import needed_bytes

if sys.platform != "win32":
    import resource

Verdict = Literal["ok", "warn", "bad"]


@dataclass(frozen=True)
class Finding:
    """What one look found; `bad` means that training would not do what it says."""

    topic: str
    verdict: Verdict
    text: str


def examine(data: Path, config: Config) -> Iterator[Finding]:
    """One finding after the other, as they come; ends early where the next look would make no sense."""
    yield machine()
    checked = check(data)
    left_out = checked.unreadable if config.data.on_bad == "skip" else {}
    if len(checked.errors) > len(left_out):
        lines = [f"{len(checked.errors)} errors:", *finding_lines(checked.errors)]
        yield Finding("data", "bad", "\n".join(lines))
        return
    usable = read_two_boxes(data, without=left_out).with_objects()
    if not usable.images:
        yield Finding("data", "bad", f"{checked.summary}; no image with objects can be read")
        return
    unsure = checked.warnings or left_out
    yield Finding("data", "warn" if unsure else "ok", checked.summary)

    sam = load_sam(config.weights, input_size=config.data.input_size)
    num_weights = sum(p.numel() for p in sam.parameters())
    text = f"{config.weights}: {num_weights / 1e6:.1f} M parameters, width {sam.width}, at {sam.input_size} px"
    yield Finding("weights", "ok", text)

    learn, _ = usable.hold_out(config.data.held_out, config.seed)
    hardware = config.hardware
    fabric = build_fabric(hardware)
    adaptation = build_module(sam, config).adaptation.to(fabric.device)
    samples = build_loader(learn, sam, config).dataset
    num_images = min(config.optim.batch_size, len(learn.images))
    batch = collate([samples[index] for index in range(num_images)]).to(fabric.device)
    yield normalisation(batch)
    per_step = config.optim.batch_size * hardware.devices * hardware.num_nodes
    with fabric.autocast():
        yield from dry_step(
            adaptation, batch, config, num_steps=math.ceil(len(learn.images) / per_step)
        )
    yield disk(adaptation)


def machine() -> Finding:
    """Versions and what computes."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}"
    if torch.cuda.is_available():
        return Finding("machine", "ok", f"{versions}; {torch.cuda.get_device_name()}")
    return Finding("machine", "ok", f"{versions}; no GPU, {torch.get_num_threads()} CPU threads")


def normalisation(batch: Batch) -> Finding:
    """Whether images reach the encoder as SAM saw its own: about zero mean, about unit spread."""
    height, width = batch.extents[0].tolist()
    seen = batch.images[0, :, :height, :width]
    mean, spread = float(seen.mean()), float(seen.std())
    usual = abs(mean) < 2.2 and 0.05 < spread < 2.5
    text = f"first image: mean {mean:.2f}, spread {spread:.2f} after SAM's own normalisation"
    return Finding("normalisation", "ok" if usual else "warn", text)


def dry_step(
    adaptation: Adaptation, batch: Batch, config: Config, *, num_steps: int
) -> Iterator[Finding]:
    """Two steps on one batch: what each loss reaches, what must not move, what must; then what it costs."""
    draws = Draws(config.seed, 0)
    output = adaptation.step(batch, draws)
    yield from gradient_reach(output, adaptation, config)
    yield isolation(adaptation, batch, draws, output)

    frozen = [p.clone() for p in _frozen(adaptation)]
    teacher = _flat(adaptation.teacher.tower.tail.parameters())
    optimizer = AdamW(parameter_groups(adaptation, config.optim))
    started = time.perf_counter()
    output = adaptation.step(batch, Draws(config.seed, 1))  # an epoch later, images lie otherwise
    output.loss.backward()
    optimizer.step()
    adaptation.update_teacher()
    seconds = time.perf_counter() - started
    optimizer.zero_grad(set_to_none=True)

    kept = all(torch.equal(a, b) for a, b in zip(frozen, _frozen(adaptation), strict=True))
    text = "prompt encoder and mask decoder are as they were, to the last bit"
    yield Finding(
        "frozen parts", "ok" if kept else "bad", text if kept else "a frozen weight moved"
    )

    decay = config.method.ema_decay
    student = _flat(adaptation.student.tail.parameters())
    expected = decay * teacher + (1 - decay) * student
    followed = _flat(adaptation.teacher.tower.tail.parameters())
    moved = float((followed - teacher).abs().max())
    right = torch.allclose(followed, expected, rtol=1e-6, atol=1e-6)
    right &= moved > 0 or decay == 1 or not output.signal
    text = f"the teacher moved by at most {moved:.1e}, {1 - decay:g} of the student's way"
    yield Finding("EMA", "ok" if right else "bad", text)

    with torch.no_grad():
        distilled = float(adaptation.step(batch, Draws(config.seed, 1)).terms["distill"])
    before = float(output.terms["distill"].detach())
    text = f"{before:.1e} before the first step, {distilled:.1e} after it"
    held = before < 1e-6 and (distilled > 0 or not output.signal)
    yield Finding("distillation", "ok" if held else "bad", text)

    minutes = seconds * num_steps / 60
    text = f"a step of {len(batch.images)} images and {batch.num_objects} objects takes {seconds:.1f} s: "
    text += f"{minutes:.1f} min an epoch, {minutes * config.epochs:.0f} min in all"
    yield Finding("time", "ok" if minutes * config.epochs < 24 * 60 else "warn", text)
    yield Finding("memory", "ok", f"{_peak_bytes() / 2**30:.1f} GiB at the peak so far")


def gradient_reach(output: StepOutput, adaptation: Adaptation, config: Config) -> Iterator[Finding]:
    """For each loss that has a weight and pulls from the first step on: its value, and the gradient it sends into the encoder."""
    method = config.method
    weights = {
        "contrast": method.alpha,
        "self_training": method.self_training,
        "box_constraint": method.box_constraint,
        "pixel_contrast": method.pixel_contrast,
    }
    encoder = list(adaptation.trained_parts().encoder.values())
    for name in (name for name, weight in weights.items() if weight > 0):
        term = output.terms[name]
        found = torch.autograd.grad(term, encoder, retain_graph=True, allow_unused=True)
        norm = math.hypot(*(float(g.norm()) for g in found if g is not None))
        text = (
            f"{float(term.detach()):.3g}; the gradient that reaches the encoder is {norm:.2g} long"
        )
        if norm == 0 and name == "contrast":
            num_trusted, num = int(output.pseudo.trusted.sum()), len(output.pseudo.trusted)
            text += f": no signal in this batch, {num_trusted} of {num} objects trusted"
            yield Finding(name, "warn", text)
        else:
            yield Finding(name, "ok" if norm > 0 else "bad", text)


def isolation(adaptation: Adaptation, batch: Batch, draws: Draws, output: StepOutput) -> Finding:
    """Whether masks, where the data has them, change the loss: they must not."""
    if batch.gt_masks is None:
        return Finding("masks", "ok", "the labels hold none, so none can be trained on")
    with torch.no_grad():
        other = adaptation.step(replace(batch, gt_masks=~batch.gt_masks), draws)
    same = torch.equal(other.loss, output.loss.detach())
    text = "the labels hold masks; with all of them inverted the loss is the same, to the last bit"
    return Finding("masks", "ok" if same else "bad", text if same else "the loss sees the masks")


def disk(adaptation: Adaptation) -> Finding:
    """Whether two checkpoints and both models fit here."""
    need, free = needed_bytes(adaptation), shutil.disk_usage(Path.cwd()).free
    text = f"{free / 2**30:.1f} GiB free here, a run needs about {need / 2**30:.2f}"
    return Finding("disk", "ok" if free > need else "bad", text)


def _frozen(adaptation: Adaptation) -> list[Tensor]:
    model = adaptation.sam.model
    return [*model.prompt_encoder.parameters(), *model.mask_decoder.parameters()]


def _flat(weights: Iterator[torch.nn.Parameter]) -> Tensor:
    return torch.cat([weight.detach().float().flatten() for weight in weights])


def _peak_bytes() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    if sys.platform == "win32":
        return 0
    kibibytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kibibytes

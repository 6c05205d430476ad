"""What ringsam's schedule saves over the field's, in one run: every goal with its threshold, and whether it was met.

python -m benchmarks.performance                      # on the CPU, about ten minutes on two cores
python -m benchmarks.performance --goals P1 P2
python -m benchmarks.performance --gpu --sizes vit_b vit_l vit_h

Two ways to do the same are timed in turn, with the same random weights and images; a ratio is that of the medians of process
time, so that other work on the machine hardly counts. On a GPU it is the time until the device is done.
"""

import copy
import itertools
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
import transformers
import tyro
from lightning.fabric import Fabric
from torch import Tensor

from benchmarks.figures import (
    SMALL,
    Figure,
    Options,
    OurStep,
    Work,
    batch_of,
    device_seconds,
    medians,
    seed_method,
)
from benchmarks.models import images_of, metas_predictor, metas_sam, randomize, transformers_sam
from benchmarks.performance_gpu import GPU_GOALS
from benchmarks.schedules import SeedSchedule, WesamSchedule
from benchmarks.tables import RESULTS, publish
from ringsam.batch import Batch, Sample
from ringsam.config import Config
from ringsam.draws import Draws
from ringsam.geometry import Frame
from ringsam.predict import Predictor
from ringsam.sam.meta_layout import to_meta
from ringsam.sam.model import Prompts, Sam
from ringsam.sam.preprocess import Preprocess
from ringsam.training.memory import TensorBytes, step_memory


def seed_steps(options: Options) -> Iterator[Figure]:
    """P1, P2: the seed's step as the field writes it, and ours."""
    for goal, k, plain_goal, cached_goal in (("P1", 2, 2.5, 5.0), ("P2", 0, 1.3, 1.6)):
        model = randomize(transformers_sam("vit_ti", image_size=512, attention="eager"), seed=0)
        field, batch = SeedSchedule(model, seed_method(k)), batch_of(SMALL)
        took = medians(
            {
                "field": partial(field.step, batch, Draws(0, 0)),
                "ours": OurStep(SMALL, seed_method(k)),
                "cached": OurStep(SMALL, seed_method(k), cached=True),
                "bare": OurStep(SMALL, seed_method(k), cached=True, monitored=False),
            },
            options.rounds,
        )
        what = f"seed's step, K={k}: the field's schedule / ours"
        yield Figure(goal, what, took["field"] / took["ours"], "x", plain_goal)
        yield Figure(goal, f"{what}, with caches", took["field"] / took["cached"], "x")
        bare = took["field"] / took["bare"]
        yield Figure(goal, f"{what}, with caches, no monitors", bare, "x", cached_goal)


def wesam_steps(options: Options) -> Iterator[Figure]:
    """P3: WeSAM's step, and ours with the same prompts."""
    sam = metas_sam("vit_ti", image_size=512)
    ours = transformers_sam("vit_ti", image_size=512)
    sam.load_state_dict(to_meta(randomize(ours, seed=0).state_dict(), ours.config))
    wesam, batch = WesamSchedule(sam), batch_of(SMALL)
    took = medians(
        {
            "wesam": partial(wesam.step, batch),
            "0": OurStep(SMALL, seed_method(0, prompts="box")),
            "2": OurStep(SMALL, seed_method(2, prompts="box")),
        },
        options.rounds,
    )
    for k, asked in (("0", 1.4), ("2", 3.2)):
        yield Figure("P3", f"WeSAM's step / ours, K={k}", took["wesam"] / took[k], "x", asked)


def shared_trunk(options: Options) -> Iterator[Figure]:
    """P4: the shared trunk against passes of whole encoders."""
    step = OurStep(SMALL, seed_method(2))
    adaptation, images = step.adaptation, step.batch.images
    whole = Sam(randomize(transformers_sam("vit_ti", image_size=512), seed=0))
    apart = whole.encode(images)
    trunk, reference = adaptation.frozen(step.batch)
    student = adaptation.student(trunk).embedding
    towers = (student, adaptation.teacher(trunk).embedding, reference)
    differences = [float((tower - apart).detach().abs().max()) for tower in towers]
    yield Figure("P4", "shared trunk - separate passes, features", max(differences), "", at_most=0)
    student.square().mean().backward()
    apart.square().mean().backward()
    separate = dict(whole.model.vision_encoder.named_parameters())
    errors = [
        relative_error(p.grad, separate[name].grad)
        for name, p in adaptation.trained_parts().encoder.items()
    ]
    yield Figure("P4", "the same, gradients, relative", max(errors), "", at_most=1e-6)


def metas_parity(options: Options) -> Iterator[Figure]:
    """P5: our encoder and decoder against Meta's."""
    model = randomize(transformers_sam("vit_ti", image_size=512), seed=0)
    theirs, ours = metas_sam("vit_ti", image_size=512), Sam(model)
    theirs.load_state_dict(to_meta(model.state_dict(), model.config))
    meta: Any = theirs
    batch = batch_of(SMALL._replace(num_images=1))
    with torch.no_grad():
        own, other = ours.encode(batch.images), meta.image_encoder(batch.images)
        decoded = ours.decode(own, batch.image_index, Prompts(boxes=batch.big_boxes))
        sparse, dense = meta.prompt_encoder(points=None, boxes=batch.big_boxes, masks=None)
        masks, _ = meta.mask_decoder(
            image_embeddings=own,
            image_pe=meta.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
    yield Figure("P5", "encoder - Meta's", float((own - other).abs().max()), "", at_most=2e-5)
    error = float((decoded.logits - masks).abs().max())
    yield Figure("P5", "masks' logits - Meta's", error, "", at_most=1e-5)


def attention(options: Options) -> Iterator[Figure]:
    """P6: folded attention against transformers' own, in windows that the grid fills in part and over the whole image."""
    for dtype, asked in ((torch.float64, 1e-12), (torch.float32, 2e-6)):
        plain = randomize(transformers_sam("small", image_size=256), seed=0).to(dtype)
        folded = Sam(copy.deepcopy(plain)).model
        tokens = torch.randn(
            2, 16, 16, 192, dtype=dtype, generator=torch.Generator().manual_seed(0)
        )
        errors = []
        for block in (0, 1):
            pair = [model.vision_encoder.layers[block] for model in (folded, plain)]
            made = [run_backward(layer, tokens) for layer in pair]
            errors += list(itertools.starmap(relative_error, zip(*made, strict=True)))
        what = f"folded attention - transformers', with gradients, {str(dtype)[6:]}, relative"
        yield Figure("P6", what, max(errors), "", at_most=asked)


def run_backward(layer: torch.nn.Module, tokens: Tensor) -> list[Tensor]:
    """The result, and the gradients of tokens and weights."""
    given = tokens.clone().requires_grad_()
    result: Tensor = layer(given)
    result.square().sum().backward()
    grads = [p.grad for _, p in sorted(layer.named_parameters()) if p.grad is not None]
    assert given.grad is not None
    return [result.detach(), given.grad, *grads]


def relative_error(found: Tensor | None, expected: Tensor | None) -> float:
    assert found is not None and expected is not None
    return float((found - expected).abs().max() / expected.abs().max())


def decoder(options: Options) -> Iterator[Figure]:
    """P7: the decoder asked for all objects at once, and for one after the other."""
    sam = Sam(randomize(transformers_sam("small", image_size=512), seed=0))
    for num, asked in ((8, 2.0), (32, 1.5)):
        batch = batch_of(SMALL._replace(num_images=1, per_image=num))
        with torch.inference_mode():
            embedding = sam.encode(batch.images)
        ways = {
            "one by one": partial(decode_in_parts, sam, embedding, batch, at_once=1),
            "together": partial(decode_in_parts, sam, embedding, batch, at_once=num),
        }
        took = medians(ways, options.rounds)
        what = f"decoder, {num} objects: one by one / together"
        yield Figure("P7", what, took["one by one"] / took["together"], "x", asked)


@torch.inference_mode()
def decode_in_parts(sam: Sam, embedding: Tensor, batch: Batch, *, at_once: int) -> None:
    for start in range(0, batch.num_objects, at_once):
        asked = Prompts(boxes=batch.big_boxes).rows(start, start + at_once)
        sam.decode(embedding, batch.image_index[start : start + at_once], asked)


def update_share(options: Options) -> Iterator[Figure]:
    """P8: what optimizer and EMA take of a step."""
    step = OurStep(SMALL, seed_method(0))
    update, whole = [], []
    for turn in range(options.rounds + 1):
        start = time.process_time()
        output = step.adaptation.step(step.batch, step.draws)
        output.loss.backward()
        between = time.process_time()
        step.update()
        if turn:
            update.append(time.process_time() - between)
            whole.append(time.process_time() - start)
    share = 100 * statistics.median(update) / statistics.median(whole)
    yield Figure("P8", "optimizer and EMA, of a step at K=0", share, " %", at_most=5)


def bulk_prediction(options: Options) -> Iterator[Figure]:
    """P13: masks of eight boxes an image, from the image in memory, by Meta's predictor in a loop and by ours."""
    model = randomize(transformers_sam("vit_ti", image_size=512), seed=0)
    theirs = metas_sam("vit_ti", image_size=512)
    theirs.load_state_dict(to_meta(model.state_dict(), model.config))
    meta = metas_predictor(theirs)
    ours = Predictor(Sam(model), preprocess=Preprocess(512))
    (image,) = images_of(num_images=1, image_size=640)
    boxes = batch_of(SMALL._replace(num_images=1, per_image=8)).big_boxes.numpy()

    def loop() -> list[Any]:
        meta.set_image(image)
        return [meta.predict(box=box, multimask_output=False)[0][0] for box in boxes]

    found = ours.predict(image, boxes).masks.numpy()
    agree = float(np.mean(found == np.stack(loop())))
    yield Figure("P13", "pixels on which Meta's predictor and ours agree", 100 * agree, " %", 99.9)
    took = medians({"meta": loop, "ours": partial(ours.predict, image, boxes)}, options.rounds)
    what = "prediction, 8 boxes an image: Meta's predictor / ours"
    yield Figure("P13", what, took["meta"] / took["ours"], "x", 1.3)


def many_objects(options: Options) -> Iterator[Figure]:
    """P14: a step with 64 objects and one with a single object, ViT-B at 512 px."""
    one = Work("vit_b", 512, num_images=1, per_image=1)
    works = {"1": one, "64": one._replace(per_image=64)}
    steps = {name: OurStep(work, seed_method(0)) for name, work in works.items()}
    took = medians(steps, min(options.rounds, 3))
    yield Figure(
        "P14", "step, ViT-B: 64 objects / 1 object", took["64"] / took["1"], "x", at_most=1.4
    )
    peaks = {}
    for name, step in steps.items():
        with TensorBytes(step.adaptation.state_dict().values()) as counted:
            counted.restart()
            step()
        peaks[name] = counted.peak
    ratio = peaks["64"] / peaks["1"]
    yield Figure("P14", "the same, memory at the peak", ratio, "x", at_most=1.4)


def planner(options: Options) -> Iterator[Figure]:
    """What `ringsam plan` foretells of a step from steps of one and two images, and what that step takes."""
    work = SMALL._replace(num_images=6)
    batch, fabric = batch_of(work), Fabric(accelerator="cpu", devices=1)
    frame = Frame(*(work.image_size,) * 5)
    samples = [
        Sample(
            image=batch.images[i],
            frame=frame,
            big_boxes=batch.big_boxes[batch.image_index == i],
            small_boxes=batch.small_boxes[batch.image_index == i],
            object_ids=batch.object_ids[batch.image_index == i],
            gt_masks=None,
        )
        for i in range(work.num_images)
    ]
    for checkpointing in (False, True):
        step = OurStep(work, seed_method(0), checkpointing=checkpointing)
        foretold = step_memory(step.adaptation, samples[:2], Config(), fabric).of(6)
        with TensorBytes([*step.adaptation.parameters(), *step.adaptation.buffers()]) as counted:
            step()
            counted.restart()
            step()
        assert foretold is not None
        off = 100 * abs(foretold / counted.peak - 1)
        what = "plan: six images foretold from one and two" + (
            ", checkpointed" if checkpointing else ""
        )
        yield Figure("plan", what, off, " % off", at_most=15)


def help_time(options: Options) -> Iterator[Figure]:
    """P17: `ringsam --help`, and whether it imports torch."""
    command = [sys.executable, "-X", "importtime", "-m", "ringsam", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    modules = {line.split("|")[-1].strip() for line in shown.stderr.splitlines()}
    yield Figure("P17", "ringsam --help, torch imported", float("torch" in modules), "", at_most=0)
    plain = [sys.executable, "-m", "ringsam", "--help"]
    took = medians(
        {"help": partial(subprocess.run, plain, capture_output=True, check=True)},
        options.rounds,
        device_seconds,
    )
    yield Figure("P17", "ringsam --help", took["help"], " s", at_most=0.3)


CPU_GOALS: dict[str, Callable[[Options], Iterator[Figure]]] = {
    "P1 P2": seed_steps,
    "P3": wesam_steps,
    "P4": shared_trunk,
    "P5": metas_parity,
    "P6": attention,
    "P7": decoder,
    "P8": update_share,
    "P13": bulk_prediction,
    "P14": many_objects,
    "plan": planner,
    "P17": help_time,
}


def main(options: Options) -> None:
    """Measure, and keep the table."""
    goals = GPU_GOALS if options.gpu else CPU_GOALS
    chosen = [
        goal
        for names, goal in goals.items()
        if not options.goals or set(names.split()) & set(options.goals)
    ]
    if not chosen:
        sys.exit(f"no such goals; these can be measured so: {' '.join(goals)}")
    default = RESULTS / ("performance_gpu.md" if options.gpu else "performance.md")
    publish(report(chosen, options), options.table or default)


def report(goals: list[Callable[[Options], Iterator[Figure]]], options: Options) -> Iterator[str]:
    """The lines of the table, each as soon as it is known."""
    yield "# Speed and memory against their goals\n"
    yield f"`python -m benchmarks.performance{' --gpu' if options.gpu else ''}`, medians of {options.rounds} turns.\n"
    yield f"{machine()}; torch {torch.__version__}, transformers {transformers.__version__}.\n"
    yield "| goal | what | measured | asked | |\n|---|---|---|---|---|"
    for goal in goals:
        for figure in goal(options):
            yield figure.row()


def machine() -> str:
    """What computes."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main(tyro.cli(Options))

"""What ringsam's schedule saves over the field's, in one run: every goal with its threshold, and whether it was met.

python -m benchmarks.performance                      # on the CPU, about ten minutes on two cores
python -m benchmarks.performance --goals P1 P2
python -m benchmarks.performance --profile            # and where the time goes, for the goals that are hardest to reach
python -m benchmarks.performance --gpu --sizes vit_b vit_l vit_h

Two ways to do the same are timed in turn, with the same random weights and images; a ratio is that of the medians of process
time, so that other work on the machine hardly counts. On a GPU it is the time until the device is done.
"""

import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import torch
import transformers
import tyro

from benchmarks.equalities import attention, metas_parity, shared_trunk
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
from benchmarks.foretold import planner
from benchmarks.million import million_images
from benchmarks.models import metas_twin, randomize, transformers_sam
from benchmarks.parts import attention_time, bulk_prediction, decoder
from benchmarks.performance_gpu import GPU_GOALS
from benchmarks.profiles import compiled_tail, parts_of_the_best_step, profile_lines
from benchmarks.schedules import SeedSchedule, WesamSchedule
from benchmarks.tables import RESULTS, publish
from benchmarks.two_ranks import two_ranks
from ringsam.draws import Draws
from ringsam.training.memory import TensorBytes


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
    model = randomize(transformers_sam("vit_ti", image_size=512), seed=0)
    wesam, batch = WesamSchedule(metas_twin(model, "vit_ti")), batch_of(SMALL)
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
        with TensorBytes.of(step.adaptation) as counted:
            step()
        peaks[name] = counted.peak
    ratio = peaks["64"] / peaks["1"]
    yield Figure("P14", "the same, memory at the peak", ratio, "x", at_most=1.4)


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
    "block": attention_time,
    "P7": decoder,
    "P8": update_share,
    "P13": bulk_prediction,
    "P14": many_objects,
    "P15": million_images,
    "P16": two_ranks,
    "plan": planner,
    "P17": help_time,
    "best": parts_of_the_best_step,
    "compile": compiled_tail,
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
    if options.profile:
        yield from profile_lines(options.goals)


def machine() -> str:
    """What computes."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main(tyro.cli(Options))

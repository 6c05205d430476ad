"""The commands that read a recipe before their flags, and the one that goes on with what they began."""

import contextlib
import io
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro
from pydantic import ValidationError

from ringsam.commands.arguments import Data, Run
from ringsam.config import DEFAULT_RECIPE, Config, Precision, read_recipe, refusals
from ringsam.errors import InputError


@dataclass
class DoctorArguments:
    """Take one dry step on the data at hand and show that each part of the method does what it should."""

    data: Data
    """A folder with images/ and two_boxes.json (else annotations.json), or the JSON itself."""
    config: Annotated[Config, tyro.conf.arg(name="")] = field(default_factory=Config)
    recipe: str = DEFAULT_RECIPE
    """A bundled recipe's name (best, seed) or a YAML file; flags win over it."""


Parsed = TypeVar("Parsed", bound=DoctorArguments)


@dataclass
class PlanArguments(DoctorArguments):
    """Count what a training step takes in memory, and say how many images at once fit this machine."""


@dataclass(kw_only=True)
class TrainArguments(DoctorArguments):
    """Adapt SAM to a folder of images with two boxes per object; writes a run folder."""

    out: Path
    """The run folder to make."""


def train(arguments: list[str]) -> int:
    parsed = _with_recipe(TrainArguments, "train", arguments, out=tyro.MISSING)
    from ringsam.training.run import train as run_training

    run_training(parsed.data, parsed.out, parsed.config)
    return 0


def plan(arguments: list[str]) -> int:
    parsed = _with_recipe(PlanArguments, "plan", arguments)
    from ringsam.data.dataset import read_two_boxes
    from ringsam.data.usable import read_usable
    from ringsam.training.plan import make_plan

    on_bad = parsed.config.data.on_bad
    boxes = read_usable(parsed.data, on_bad) if on_bad == "skip" else read_two_boxes(parsed.data)
    made = make_plan(boxes, parsed.config)
    print(made.text())
    return 0 if made.chosen else 2


def doctor(arguments: list[str]) -> int:
    parsed = _with_recipe(DoctorArguments, "doctor", arguments)
    from ringsam.training.doctor import examine

    worst = 0
    for finding in examine(parsed.data, parsed.config):
        print(f"{finding.verdict:<5} {finding.topic:<15} {finding.text}", flush=True)
        worst = max(worst, 2 if finding.verdict == "bad" else 0)
    return worst


def resume(
    run: Run,
    devices: int | None = None,
    precision: Precision | None = None,
    allow_change: bool = False,
) -> int:
    """Go on with a run that was interrupted, exactly as if it had not been.

    Args:
        run: The run folder.
        devices: Go on with so many devices per node; a step has the same images.
        precision: Go on in this arithmetic.
        allow_change: Go on although labels, images or settings are not what the run was started with; the changes are shown.
    """
    from ringsam.training.run import resume as resume_training

    resume_training(run, devices=devices, precision=precision, allow_change=allow_change)
    return 0


def _with_recipe(into: type[Parsed], command: str, arguments: list[str], **required: Any) -> Parsed:
    """Settings are the recipe's, which says what differs from the classes' defaults, then the flags'."""
    recipe = _recipe_named_in(arguments) or DEFAULT_RECIPE
    default = into(data=tyro.MISSING, config=read_recipe(recipe), recipe=recipe, **required)
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            return tyro.cli(
                into,
                prog=f"ringsam {command}",
                args=arguments,
                use_underscores=True,
                default=default,
            )
    except (ValidationError, SystemExit) as error:  # tyro ends where a section is refused
        refused = _what_refused(error)
        if refused is None:
            print(printed.getvalue(), end="", file=sys.stderr)
            raise
        raise InputError("\n".join(f"--{row}" for row in refusals(refused))) from error


def _what_refused(error: BaseException) -> ValidationError | None:
    """What the settings' classes said, if it is that for which tyro ended."""
    if isinstance(error, ValidationError):
        return error
    return _what_refused(error.__context__) if error.__context__ else None


def _recipe_named_in(arguments: list[str]) -> str | None:
    for i, argument in enumerate(arguments):
        if argument == "--recipe":
            if i + 1 == len(arguments):
                raise InputError("--recipe: name a recipe or a YAML file")
            return arguments[i + 1]
        if argument.startswith("--recipe="):
            return argument.removeprefix("--recipe=")
    return None

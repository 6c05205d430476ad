"""The command line: a thin door that names the commands and turns what went wrong into an exit code.

Nothing heavy is imported before a command is known: `ringsam --help` answers at once.
"""

import importlib
import keyword
import os
import sys
from collections.abc import Sequence

import ringsam

USER_ERROR = 2  # data, weights or settings that cannot be used

COMMANDS = {
    "import": "labels of other tools become two_boxes.json",
    "annotate": "a local page on which to draw two boxes per object",
    "check": "list every bad row of a data set, and its mend",
    "doctor": "one dry step that proves data, weights and method before hours of training",
    "plan": "how many images at once fit the memory of this machine",
    "train": "adapt SAM to a folder of images with two boxes per object",
    "resume": "go on with a run that was interrupted",
    "evaluate": "zero-shot against adapted SAM, where masks are known",
    "bench": "recipes compared on data sets whose test parts have masks",
    "report": "one offline page: curves, table, best and worst objects",
    "predict": "boxes in, masks out, for a whole data set",
    "review": "a local page on which to accept, redraw or reject a run's masks",
    "export": "adapted weights for other tools",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(overview())
        return 0
    if given[0] == "--version":
        print(f"ringsam {ringsam.__version__}")
        return 0
    if given[0] not in COMMANDS:
        print(f"ringsam: no command {given[0]!r}\n\n{overview()}", file=sys.stderr)
        return USER_ERROR
    return run_command(given[0], given[1:])


def overview() -> str:
    """What `ringsam --help` prints."""
    lines = [f"  {name:<10}{what}" for name, what in COMMANDS.items()]
    usage = "usage: ringsam COMMAND ...        (ringsam COMMAND --help says more)"
    return "\n".join([usage, "", "Adapt Segment Anything from two boxes per object.", "", *lines])


def run_command(name: str, arguments: list[str]) -> int:
    """Parse one command's arguments and call it."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import tyro

    from ringsam.errors import ENDINGS

    commands = importlib.import_module("ringsam.commands")
    try:
        called = getattr(commands, f"{name}_" if keyword.iskeyword(name) else name)
        if name in ("train", "doctor", "plan"):  # they read a recipe before their flags
            return int(called(arguments))
        return int(tyro.cli(called, prog=f"ringsam {name}", args=arguments, use_underscores=True))
    except ENDINGS as error:
        print(f"ringsam {name}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt as error:
        print(f"ringsam {name}: interrupted{'; ' if error.args else ''}{error}", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

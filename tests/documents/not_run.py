"""The few commands of the documents that no test can run, each with the reason and with what is looked at instead."""

import functools
import re
import shlex
import tomllib
from collections.abc import Callable
from typing import NamedTuple

import pytest
from documents.pages import ROOT

import ringsam.commands as commands
import ringsam.training.run
from ringsam.cli import main


class NotRun(NamedTuple):
    pattern: str
    reason: str
    look_at: Callable[[str, pytest.MonkeyPatch], None]


def look_at_flags(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its flags are parsed by the command they are given to, which then does nothing."""
    words = shlex.split(line)
    arguments = words[words.index("ringsam") + 1 :]
    with monkeypatch.context() as patch:
        patch.setattr(ringsam.training.run, "train", lambda *_: None)
        for name in set(commands.__all__) - {"train", "plan", "doctor"}:
            called = getattr(commands, name)
            patch.setattr(commands, name, functools.wraps(called)(lambda *_, **__: 0))
        assert main(arguments) == 0, line


def look_at_target(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in shlex.split(line)[1:]:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), line


def look_at_extras(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for named in re.findall(r"\[([\w,]+)\]", line):
        assert set(named.split(",")) <= set(extras), line
    for constraints in re.findall(r"-c (\S+)", line):
        assert (ROOT / constraints).is_file(), line


def look_at_nothing(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing of ours in it."""


NOT_RUN = [
    NotRun(r"make ", "sets up an environment of its own", look_at_target),
    NotRun(r"pip install ", "asks a package index", look_at_extras),
    NotRun(r"(source|cd) ", "changes the shell that it is typed into", look_at_nothing),
    NotRun(r"(torchrun|srun) ", "several processes, devices or machines", look_at_flags),
    NotRun(r"ringsam .*--(hardware\.)?devices", "needs several GPUs", look_at_flags),
]


def reason_not_to_run(line: str) -> NotRun | None:
    return next((each for each in NOT_RUN if re.match(each.pattern, line)), None)

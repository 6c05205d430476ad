"""A person who types what a page says, from top to bottom, in a folder where that can work."""

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from documents.not_run import reason_not_to_run
from documents.pages import Fence

import ringsam
import ringsam.training.run
from ringsam.cli import main
from ringsam.config import DEFAULT_RECIPE, Config, read_recipe

HUB_NAME = re.compile(r"facebook/sam-vit-\w+")
LOCAL_SAM = "sam"


@dataclass
class Walk:
    """What was typed so far, and the names that its Python left."""

    monkeypatch: pytest.MonkeyPatch
    names: dict[str, Any] = field(default_factory=dict)
    num_run: int = 0

    def type(self, fence: Fence) -> None:
        """Runs the fence; fails where one of its commands does."""
        if fence.language == "bash":
            for line in fence.lines():
                self.type_line(HUB_NAME.sub(LOCAL_SAM, line))
        elif fence.language == "python":
            exec(HUB_NAME.sub(LOCAL_SAM, fence.text), self.names)
            self.num_run += 1

    def type_line(self, line: str) -> None:
        reason = reason_not_to_run(line)
        if reason is not None:
            reason.look_at(line, self.monkeypatch)
            return
        program, *arguments = shlex.split(line)
        if program == "ringsam":
            make_room(arguments)
            assert main(arguments) == 0, line
        else:
            subprocess.run(["bash", "-c", line], check=True)
        self.num_run += 1


def make_room(arguments: list[str]) -> None:
    """Takes away what stands where the command will write, since a person begins without it."""
    if "--out" in arguments:
        out = Path(arguments[arguments.index("--out") + 1])
        if arguments[0] == "import":
            (out / "two_boxes.json").unlink(missing_ok=True)
        elif arguments[0] == "predict":
            shutil.rmtree(out, ignore_errors=True)


def train_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training is one epoch, and begins with the small SAM of the folder; its flags are as they were typed."""
    train = ringsam.training.run.train

    def quickly(data: Path, out: Path, config: Config | None = None) -> Path:
        shutil.rmtree(out, ignore_errors=True)
        wanted = config or read_recipe(DEFAULT_RECIPE)
        return train(data, out, replace(wanted, weights=LOCAL_SAM, epochs=1))

    monkeypatch.setattr(ringsam.training.run, "train", quickly)

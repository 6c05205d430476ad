"""Every message that docs/troubleshooting.md quotes is what the program says today."""

import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from disc_data import write_disc_data, write_tiny_sam
from documents.pages import fences
from filelock import FileLock
from lightning.pytorch.accelerators import CUDAAccelerator, MPSAccelerator
from PIL import Image

import ringsam.pages
from ringsam.cli import main
from ringsam.config import Config
from ringsam.method.adaptation import Adaptation
from ringsam.runs import RunFolder
from ringsam.sam import pretrained
from ringsam.training import no_signal, space
from ringsam.training.run import train

PAGE = Path(__file__).parent.parent / "docs/troubleshooting.md"
LABELS = Path("my_images/two_boxes.json")
FIRST_RUN = RunFolder(Path("runs/first"))


class Trouble(NamedTuple):
    """A section of the page: what was typed, and the answer as it is quoted; dots stand for what varies."""

    command: str
    quoted: str


def read_page() -> dict[str, Trouble]:
    """The sections by their headings."""
    sections = re.findall(
        r"^## (.+?)\n.*?```bash\n(.+?)\n```.*?```text\n(.+?)\n```",
        PAGE.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    return {title: Trouble(command, quoted) for title, command, quoted in sections}


def change_labels(change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(LABELS.read_text(encoding="utf-8"))
    change(content)
    LABELS.write_text(json.dumps(content), encoding="utf-8")


def change_boxes(change: Callable[[list[float]], list[float]]) -> None:
    def on_every_object(content: dict[str, Any]) -> None:
        for row in content["annotations"]:
            row["big_box"], row["small_box"] = change(row["big_box"]), change(row["small_box"])

    change_labels(on_every_object)


def forget_the_labels(monkeypatch):
    LABELS.unlink()
    LABELS.with_name("annotations.json").unlink()


def write_width_and_height(monkeypatch):
    change_boxes(lambda box: [box[0], box[1], box[2] - box[0], box[3] - box[1]])


def write_fractions(monkeypatch):
    change_boxes(lambda box: [value / 64 for value in box])


def draw_a_small_box_beside_its_big_one(monkeypatch):
    change_labels(lambda content: content["annotations"][0].update(small_box=[1, 1, 4, 4]))


def rename_an_image(monkeypatch):
    Path("my_images/images/3.png").rename("my_images/images/03.png")


def cut_an_image(monkeypatch):
    path = Path("my_images/images/3.png")
    path.write_bytes(path.read_bytes()[:2000])


def save_a_stack(monkeypatch):
    planes = [Image.fromarray(np.full((64, 64), grey, np.uint8)) for grey in (20, 40, 60)]
    planes[0].save("my_images/images/stack.tif", save_all=True, append_images=planes[1:])
    change_labels(lambda content: content["images"][0].update(file_name="stack.tif"))


def draw_nothing(monkeypatch):
    change_labels(lambda content: content.update(annotations=[]))


def be_offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def misspell_the_weights(monkeypatch):
    def answer(name, **_):  # transformers' words where the hub knows no such name
        raise OSError(f"{name} is not a local folder and is not a valid model identifier listed")

    monkeypatch.setattr(pretrained, "_refuse_unreachable_hub", lambda name: None)
    monkeypatch.setattr(pretrained.SamConfig, "get_config_dict", answer)


def write_a_hostile_file(monkeypatch):
    Path("downloaded.pth").write_bytes(pickle.dumps(Path, protocol=2))


def write_a_run(monkeypatch):
    FIRST_RUN.create()
    FIRST_RUN.write_config(Config())


def train_here(**settings: object) -> None:
    train("my_images", FIRST_RUN.path, Config(weights="sam", epochs=1, **settings))


def hold_the_run(monkeypatch):
    train_here()
    lock = FileLock(FIRST_RUN.path / ".lock")
    lock.acquire()
    return lock


def train_and_redraw(monkeypatch):
    train_here()
    change_labels(lambda content: content["annotations"][0]["big_box"].__setitem__(0, 0))


def trust_nothing(monkeypatch):
    monkeypatch.setattr(no_signal, "LEAST_STEPS", 4)


def hide_the_gpus(monkeypatch):
    for accelerator in (CUDAAccelerator, MPSAccelerator):
        monkeypatch.setattr(accelerator, "is_available", lambda: False)


def fill_the_memory(monkeypatch):
    def refuse(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(Adaptation, "step", refuse)


def fill_the_disk(monkeypatch):
    usage = shutil.disk_usage(".")._replace(free=1_000_000)
    monkeypatch.setattr(space.shutil, "disk_usage", lambda path: usage)


def misspell_a_setting(monkeypatch):
    Path("mine.yaml").write_text("epoch: 5\nmethod:\n  self_trainin: 1.0\n", encoding="utf-8")


def forget_the_masks(monkeypatch):
    train_here()
    LABELS.with_name("annotations.json").unlink()


def write_single_boxes(monkeypatch):
    rows = ["file,x1,y1,x2,y2,label", "0.png,5,5,25,25,disc", "0.png,30,30,50,50,disc"]
    Path("labels.csv").write_text("\n".join(rows), encoding="utf-8")


def do_without_the_extra(monkeypatch):
    find = ringsam.pages.find_spec
    monkeypatch.setattr(
        ringsam.pages, "find_spec", lambda name: None if name == "fastapi" else find(name)
    )


TROUBLES: dict[str, Callable[[pytest.MonkeyPatch], object]] = {
    "There are no labels": forget_the_labels,
    "Nearly every box is wrong": write_width_and_height,
    "Every box lies in a corner": write_fractions,
    "A small box leaves its big box": draw_a_small_box_beside_its_big_one,
    "An image is missing": rename_an_image,
    "An image is damaged": cut_an_image,
    "A stack of images": save_a_stack,
    "Nothing is drawn yet": draw_nothing,
    "The weights are not on this machine": be_offline,
    "The hub refuses the name": misspell_the_weights,
    "Weights are refused": write_a_hostile_file,
    "The run folder is taken": write_a_run,
    "Another process is training in it": hold_the_run,
    "The data changed since the run was started": train_and_redraw,
    "Training stops: nothing to learn from": trust_nothing,
    "No GPU is found": hide_the_gpus,
    "Memory runs out": fill_the_memory,
    "The disk is too small": fill_the_disk,
    "A setting is not known": misspell_a_setting,
    "There are no masks to compare with": forget_the_masks,
    "The page does not start": do_without_the_extra,
}


def test_every_command_of_the_page_is_provoked():
    commands = [fence.heading for fence in fences(PAGE) if fence.language == "bash"]
    assert set(read_page()) == set(TROUBLES) == set(commands) and len(commands) == len(TROUBLES)


def trains(title: str) -> bool:
    """Whether it takes a real, if tiny, run to come to it."""
    return TROUBLES[title] in (
        hold_the_run,
        train_and_redraw,
        trust_nothing,
        fill_the_memory,
        forget_the_masks,
    )


@pytest.mark.parametrize(
    "title",
    [pytest.param(t, marks=[pytest.mark.slow] if trains(t) else []) for t in TROUBLES],
)
def test_the_program_says_what_the_page_quotes(title, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_disc_data(Path("my_images"))
    write_tiny_sam(Path("sam"))
    kept = TROUBLES[title](monkeypatch)
    capsys.readouterr()
    trouble = read_page()[title]
    assert main(trouble.command.split()[1:]) in (0, 2, 3)
    said = "".join(capsys.readouterr())
    pattern = ".*?".join(re.escape(part) for part in trouble.quoted.split("…"))
    assert re.search(pattern, said, re.DOTALL), said
    del kept  # a lock is held as long as somebody knows it

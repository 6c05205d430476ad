"""`ringsam train` and `ringsam resume`: a data set and settings in, a run folder with an adapted SAM out."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import lightning as L

from ringsam.config import DEFAULT_RECIPE, Config, read_recipe, write_config
from ringsam.data.check import check
from ringsam.data.dataset import TwoBoxData, read_two_boxes
from ringsam.errors import InputError
from ringsam.runs import RunFolder, write_folder
from ringsam.sam.model import Sam
from ringsam.sam.weights import load_sam, save_folder
from ringsam.training.build import (
    build_loader,
    build_module,
    build_selection,
    build_trainer,
    quietly,
)
from ringsam.training.checkpoint import newest_checkpoint, remove_orphans
from ringsam.training.data_lock import lock_data, locked_path, refuse_changed_data
from ringsam.training.loader import TwoBoxLoader
from ringsam.training.memory import NOTHING_SMALLER, flags_of, free_memory, out_of_memory, smaller
from ringsam.training.module import AdaptationModule
from ringsam.training.optim import encoder_rate
from ringsam.training.plan import make_plan
from ringsam.training.selection import Selection
from ringsam.training.space import refuse_full_disk


class _Session(NamedTuple):
    """What a run is made of; nothing of it is on disk yet."""

    announcement: str
    module: AdaptationModule
    loader: TwoBoxLoader
    selection: Selection | None
    trainer: L.Trainer


def train(data: str | Path, out: str | Path, config: Config | None = None) -> Path:
    """Adapt SAM to a data set of two boxes per object; returns the run folder.

    `data` is a folder with `images/` and `two_boxes.json` (else `annotations.json`), or the JSON
    itself; `config` is the recipe `best` where not given. Raises InputError, before anything is written, for data, weights or settings that cannot be used.
    """
    config = config or read_recipe(DEFAULT_RECIPE)
    folder = RunFolder(Path(out))
    if _is_first_rank():
        folder.refuse_unusable()
    boxes = _read(Path(data))
    if config.hardware.auto_batch:
        config = _that_fits(boxes, config)
    sam = load_sam(config.weights, input_size=config.data.input_size)
    session = _prepare(folder, boxes, sam, config)
    if _is_first_rank():
        refuse_full_disk(folder.path, session.module.adaptation)
        folder.create()
        lock_data(folder, boxes, Path(data))
        write_folder(folder.original, partial(save_folder, sam))
        write_config(config, folder.config)  # last: a folder with settings can be resumed
    _fit_in_memory(session, folder, boxes, config, checkpoint=None)
    return folder.path


def resume(run: str | Path) -> Path:
    """Go on from the newest readable checkpoint, exactly as if the run had not been interrupted."""
    folder = RunFolder(Path(run))
    config = folder.read_config()
    boxes = _read(locked_path(folder))
    refuse_changed_data(folder, boxes)
    _go_on(folder, boxes, config)
    return folder.path


def _go_on(folder: RunFolder, boxes: TwoBoxData, config: Config) -> None:
    checkpoint, refused = newest_checkpoint(folder.checkpoints)
    for line in refused:
        print(f"skipped: {line}")
    start = checkpoint.name if checkpoint else "the start: no checkpoint was finished"
    print(f"resuming {folder.path} from {start}")
    session = _prepare(folder, boxes, load_sam(folder.original), config)
    _fit_in_memory(session, folder, boxes, config, checkpoint)


def _that_fits(boxes: TwoBoxData, config: Config) -> Config:
    """The settings with a step split so that the planner sees it fit. Raises InputError where none does."""
    if config.hardware.devices * config.hardware.num_nodes > 1:
        mend = "give every rank the flags that `ringsam plan` prints"
        raise InputError(f"--hardware.auto_batch: ranks could choose differently; {mend}")
    plan = make_plan(boxes, config)
    print(plan.text(), flush=True)
    if plan.chosen is None:
        raise InputError("--hardware.auto_batch: " + plan.text())
    return plan.chosen.config


def _fit_in_memory(
    session: _Session,
    folder: RunFolder,
    boxes: TwoBoxData,
    config: Config,
    checkpoint: Path | None,
) -> None:
    """Train; where memory runs out, go on from the newest checkpoint with fewer images at once.

    Raises InputError where nothing smaller is left, and on several ranks, of which the others would wait for ever.
    """
    try:
        return _fit(session, folder, checkpoint)
    except Exception as error:
        if not out_of_memory(error):
            raise
        shrunk = smaller(config)
        if shrunk is None:
            raise InputError(f"out of memory with one image; {NOTHING_SMALLER}") from error
        flags = flags_of(shrunk)
        if session.trainer.world_size > 1:
            raise InputError(f"out of memory on one of the ranks; train with {flags}") from error
        at_once = config.optim.batch_size
        print(f"out of memory with {at_once} images at once; going on with {flags}", flush=True)
        write_config(shrunk, folder.config)
    free_memory()
    return _go_on(folder, boxes, shrunk)


def _prepare(folder: RunFolder, data: TwoBoxData, sam: Sam, config: Config) -> _Session:
    """Raises InputError for settings that this SAM or this machine cannot have."""
    module = build_module(sam, config)
    learn, held_out = data.hold_out(config.data.held_out, config.seed)
    selection = build_selection(held_out, module.adaptation, config)
    return _Session(
        _announcement(learn, held_out, config, sam),
        module,
        build_loader(learn, sam, config),
        selection,
        build_trainer(folder, config, selection),
    )


def _fit(session: _Session, folder: RunFolder, checkpoint: Path | None) -> None:
    trainer, selection = session.trainer, session.selection
    if trainer.is_global_zero:
        print(session.announcement, flush=True)
    try:
        with _alone(folder), quietly():
            trainer.fit(session.module, session.loader, ckpt_path=checkpoint, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt(f"go on with `ringsam resume {folder.path}`") from None
    if selection:
        selection.apply()
    if trainer.is_global_zero:
        if selection:
            print(f"kept epoch {selection.epoch}, of mask-free quality {selection.quality:.3f}")
        write_folder(folder.adapted, partial(save_folder, session.module.adaptation.sam))
        print(f"adapted weights: {folder.adapted}")
    trainer.strategy.barrier()


@contextmanager
def _alone(folder: RunFolder) -> Iterator[None]:
    """The first rank holds the folder for all; raises InputError where another process does."""
    if not _is_first_rank():
        yield
        return
    with folder.held():
        remove_orphans(folder.checkpoints)
        remove_orphans(folder.log)
        yield


def _read(data: Path) -> TwoBoxData:
    """The images with objects, each decoded once, so that a bad one is named before any training."""
    checked = check(data)
    if checked.errors:
        raise InputError(checked.text())
    return read_two_boxes(data).with_objects()


def _announcement(learn: TwoBoxData, held_out: TwoBoxData, config: Config, sam: Sam) -> str:
    aside = f" and {len(held_out.images)} held out" if held_out.images else ""
    return (
        f"{len(learn.images)} images{aside}, {learn.num_objects} objects "
        f"({learn.num_skipped} images without objects skipped); SAM {config.weights} at "
        f"{sam.input_size} px; prompts {config.method.prompts}; {config.epochs} epochs at rate {encoder_rate(sam, config.optim):.2g}"
    )


def _is_first_rank() -> bool:
    """Whether no launcher told this process, by the environment, that it is another."""
    names = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in names)

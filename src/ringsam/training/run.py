"""`ringsam train` and `ringsam resume`: a data set and settings in, a run folder with an adapted SAM out."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from ringsam.config import DEFAULT_RECIPE, Config, Precision, read_recipe
from ringsam.data.dataset import TwoBoxData
from ringsam.data.usable import read_usable
from ringsam.errors import InputError
from ringsam.files import write_folder
from ringsam.runs import RunFolder
from ringsam.sam.weights import load_sam, save_folder
from ringsam.training.changes import FOR_EVER, with_devices
from ringsam.training.checkpoint import newest_checkpoint, num_epochs_of
from ringsam.training.memory import (
    NOTHING_SMALLER,
    flags_of,
    free_bytes,
    free_memory,
    out_of_memory,
    smaller,
)
from ringsam.training.plan import make_plan
from ringsam.training.ranks import is_first_rank
from ringsam.training.run_lock import changes_since_start, lock_run, locked_path
from ringsam.training.session import Session, fit, prepare
from ringsam.training.space import refuse_full_disk


def train(data: str | Path, out: str | Path, config: Config | None = None) -> Path:
    """Adapt SAM to a data set of two boxes per object; returns the run folder.

    `data` is a folder with `images/` and `two_boxes.json` (else `annotations.json`), or the JSON
    itself; `config` is the recipe `best` where not given. Raises InputError, before anything is written, for data, weights or settings that cannot be used.
    """
    config = config or read_recipe(DEFAULT_RECIPE)
    folder = RunFolder(Path(out))
    if is_first_rank():
        folder.refuse_unusable()
    boxes = read_usable(Path(data), config.data.on_bad)
    if config.hardware.auto_batch:
        config = _that_fits(boxes, config)
    _go_on(folder, boxes, _begin(folder, boxes, Path(data), config))
    return folder.path


def resume(
    run: str | Path,
    *,
    devices: int | None = None,
    precision: Precision | None = None,
    allow_change: bool = False,
) -> Path:
    """Go on from the newest readable checkpoint, as if the run had not been interrupted: to the same weights, bit by bit.

    On another number of devices a step has the same images. Raises InputError with a row for each label, image or setting
    that changed since the run was started, unless `allow_change`, and for those that no run can change.
    """
    folder = RunFolder(Path(run))
    before = folder.read_config()
    config = with_devices(before, devices)
    if precision:
        config = replace(config, hardware=replace(config.hardware, precision=precision))
    boxes = read_usable(locked_path(folder), config.data.on_bad)
    rows = changes_since_start(folder, boxes, config)
    for_ever = [row for row in rows if row.startswith(FOR_EVER)]
    if for_ever or (rows and not allow_change):
        mend = "put it back, or " + (
            "train a new run" if for_ever else "go on all the same with --allow_change"
        )
        message = f"{len(for_ever or rows)} change(s) since {folder.path} was started; {mend}:"
        raise InputError(message, for_ever or rows)
    if is_first_rank() and (rows or config != before):
        print("\n".join(["going on with changes:", *rows]) if rows else "going on elsewhere")
        with folder.held():  # what another process trains by is not changed
            lock_run(folder, boxes, locked_path(folder), config)
            folder.write_config(config)
    _go_on(folder, boxes, config)
    return folder.path


def _begin(folder: RunFolder, boxes: TwoBoxData, data: Path, config: Config) -> Config | None:
    """Make the run folder and train; where memory ran out, the settings to go on with."""
    sam = load_sam(config.weights, input_size=config.data.input_size)
    session = prepare(folder, boxes, sam, config)
    if is_first_rank():
        refuse_full_disk(folder.path, session.module.adaptation)
        folder.create()
        lock_run(folder, boxes, data, config)
        write_folder(folder.original, partial(save_folder, sam))
        folder.write_config(config)  # last: a folder with settings can be resumed
    return _fit_in_memory(session, folder, config, checkpoint=None)


def _go_on(folder: RunFolder, boxes: TwoBoxData, config: Config | None) -> None:
    """Until the run has its epochs: each time that memory runs out, all that was in it is given back first."""
    while config:
        free_memory()
        config = _resume_once(folder, boxes, config)


def _resume_once(folder: RunFolder, boxes: TwoBoxData, config: Config) -> Config | None:
    session = prepare(folder, boxes, load_sam(folder.original), config)
    batches = session.loader.batches(session.trainer)
    checkpoint, refused = newest_checkpoint(folder.checkpoints, batches=batches)
    for line in refused:
        print(f"skipped: {line}")
    if checkpoint and (done := num_epochs_of(checkpoint)) > config.epochs:
        mend = f"raise epochs in {folder.config} to {done} or more"
        raise InputError(f"{checkpoint}: has learned {done} epochs, of {config.epochs}; {mend}")
    start = checkpoint.name if checkpoint else "the start: no checkpoint was finished"
    print(f"resuming {folder.path} from {start}")
    return _fit_in_memory(session, folder, config, checkpoint)


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
    session: Session, folder: RunFolder, config: Config, checkpoint: Path | None
) -> Config | None:
    """Train; where memory ran out, the settings to go on with from the newest checkpoint: fewer images at once.

    Raises InputError where nothing smaller is left, and on several ranks, of which the others would wait for ever.
    """
    try:
        fit(session, folder, checkpoint)
    except Exception as error:
        if not out_of_memory(error):
            raise
        shrunk = smaller(config)
        if shrunk is None:
            device = session.trainer.strategy.root_device
            free, size = free_bytes(device) / 1e6, session.module.adaptation.sam.input_size
            now = f"one image at {size} px; {free:,.0f} MB are free on {device} without it"
            raise InputError(
                f"out of memory with {now}; {NOTHING_SMALLER}, in a new run (another --out)"
            ) from error
        flags = flags_of(shrunk)
        if session.trainer.world_size > 1:
            raise InputError(f"out of memory on one of the ranks; train with {flags}") from error
        at_once = config.optim.batch_size
        print(f"out of memory with {at_once} images at once; going on with {flags}", flush=True)
        folder.write_config(shrunk)
        return shrunk
    return None

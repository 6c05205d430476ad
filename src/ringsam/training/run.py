"""`ringsam train` and `ringsam resume`: a data set and settings in, a run folder with an adapted SAM out."""

import contextlib
import hashlib
import json
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from ringsam.config import Config, write_config
from ringsam.data.check import check
from ringsam.data.dataset import TwoBoxData, read_two_boxes
from ringsam.errors import InputError
from ringsam.runs import RunFolder, write_json
from ringsam.sam.model import Sam
from ringsam.sam.weights import load_sam, save_folder
from ringsam.training.build import build_loader, build_module, build_trainer
from ringsam.training.checkpoint import newest_checkpoint
from ringsam.training.module import AdaptationModule


def train(data: str | Path, out: str | Path, config: Config | None = None) -> Path:
    """Adapt SAM to a data set of two boxes per object; returns the run folder.

    `data` is a folder with `images/` and `two_boxes.json` (else `annotations.json`), or the JSON
    itself. Raises InputError, before anything is written, for data, weights or settings that cannot be used.
    """
    config = config or Config()
    folder = RunFolder(Path(out))
    boxes = _read(Path(data))
    sam = load_sam(config.weights, input_size=config.data.input_size)
    module = build_module(sam, config)
    if _is_first_rank():
        folder.create()
        write_json(folder.data_note, _describe(boxes, Path(data)))
        save_folder(sam, folder.original)
        write_config(config, folder.config)  # last: a folder with settings can be resumed
    _fit(folder, boxes, module, config, checkpoint=None)
    return folder.path


def resume(run: str | Path) -> Path:
    """Go on from the newest readable checkpoint, exactly as if the run had not been interrupted."""
    folder = RunFolder(Path(run))
    config = folder.read_config()
    note = _read_note(folder)
    boxes = _read(Path(note["data"]))
    if _describe(boxes, Path(note["data"])) != note:
        mend = "put the old file back, or train a new run"
        raise InputError(f"{boxes.source}: changed since {folder.path} was started; {mend}")
    checkpoint, refused = newest_checkpoint(folder.checkpoints)
    for line in refused:
        print(f"skipped: {line}")
    start = checkpoint.name if checkpoint else "the start: no checkpoint was finished"
    print(f"resuming {folder.path} from {start}")
    module = build_module(load_sam(folder.original), config)
    _fit(folder, boxes, module, config, checkpoint)
    return folder.path


def _fit(
    folder: RunFolder,
    data: TwoBoxData,
    module: AdaptationModule,
    config: Config,
    checkpoint: Path | None,
) -> None:
    sam = module.adaptation.sam
    loader = build_loader(data, sam, config)
    with _quiet():
        trainer = build_trainer(folder, config)
        if trainer.is_global_zero:
            _announce(data, config, sam)
        trainer.fit(module, loader, ckpt_path=checkpoint, weights_only=True)
    if trainer.is_global_zero:
        save_folder(sam, folder.adapted)
        print(f"adapted weights: {folder.adapted}")


def _read(data: Path) -> TwoBoxData:
    """The images with objects, each decoded once, so that a bad one is named before any training."""
    checked = check(data)
    if checked.errors:
        raise InputError(checked.text())
    return read_two_boxes(data).with_objects()


def _announce(data: TwoBoxData, config: Config, sam: Sam) -> None:
    print(
        f"{len(data.images)} images, {data.num_objects} objects "
        f"({data.num_skipped} images without objects skipped); SAM {config.weights} at "
        f"{sam.input_size} px; prompts {config.method.prompts}; {config.epochs} epochs",
        flush=True,
    )


def _is_first_rank() -> bool:
    """Before the Trainer stands: launchers tell each process its rank by the environment."""
    return all(int(os.environ.get(name, 0)) == 0 for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))


def _read_note(folder: RunFolder) -> dict[str, str]:
    try:
        note: dict[str, str] = json.loads(folder.data_note.read_text(encoding="utf-8"))
        return {name: note[name] for name in ("data", "annotations", "sha256")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        mend = "the run cannot be resumed; train a new one"
        raise InputError(
            f"{folder.data_note}: does not say what the run learned from; {mend}"
        ) from error


def _describe(data: TwoBoxData, path: Path) -> dict[str, str]:
    digest = hashlib.sha256(data.source.read_bytes()).hexdigest()
    return {"data": str(path.resolve()), "annotations": data.source.name, "sha256": digest}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's hints on settings that ringsam chose on purpose."""
    hints = (
        ".*module.s. in eval mode at the start.*",
        ".*does not have many workers.*",
        ".*isinstance.treespec, LeafSpec.*",
        "Checkpoint directory .* exists and is not empty.*",
    )
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for hint in hints:
                warnings.filterwarnings("ignore", message=hint)
            yield
    finally:
        logger.setLevel(level)

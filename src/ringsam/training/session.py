"""A run in memory: module, loader, trainer; made, fitted, and its adapted weights written."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import lightning as L

from ringsam.config import Config
from ringsam.data.dataset import TwoBoxData
from ringsam.errors import InputError
from ringsam.files import write_folder
from ringsam.runs import RunFolder
from ringsam.sam.model import Sam
from ringsam.sam.weights import save_folder
from ringsam.training.build import (
    build_loader,
    build_module,
    build_overlays,
    build_selection,
    build_trainer,
    quietly,
)
from ringsam.training.checkpoint import remove_orphans
from ringsam.training.loader import TwoBoxLoader
from ringsam.training.module import AdaptationModule
from ringsam.training.optim import encoder_rate
from ringsam.training.ranks import is_first_rank, ranks_that_answer
from ringsam.training.selection import Selection


class Session(NamedTuple):
    """What a run is made of; nothing of it is on disk yet."""

    announcement: str
    module: AdaptationModule
    loader: TwoBoxLoader
    selection: Selection | None
    trainer: L.Trainer
    rank_timeout_s: float


def prepare(folder: RunFolder, data: TwoBoxData, sam: Sam, config: Config) -> Session:
    """Raises InputError for settings that this SAM or this machine cannot have."""
    module = build_module(sam, config)
    learn, held_out = data.hold_out(config.data.held_out, config.seed)
    selection = build_selection(held_out, module.adaptation, config)
    shown = held_out if held_out.images else learn
    overlays = build_overlays(folder, shown, module.adaptation, config)
    return Session(
        _announcement(learn, held_out, config, sam),
        module,
        build_loader(learn, sam, config),
        selection,
        build_trainer(folder, config, selection, overlays),
        config.hardware.rank_timeout_s,
    )


def fit(session: Session, folder: RunFolder, checkpoint: Path | None) -> None:
    """Train from the checkpoint, or from the start; write the adapted weights."""
    trainer, selection = session.trainer, session.selection
    if trainer.is_global_zero:
        print(session.announcement, flush=True)
    answering = ranks_that_answer(trainer, folder, timeout_s=session.rank_timeout_s)
    try:
        with _alone(folder), quietly(), answering:
            trainer.fit(session.module, session.loader, ckpt_path=checkpoint, weights_only=True)
    except SystemExit:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt(f"go on with `ringsam resume {folder.path}`") from None
    adaptation = session.module.adaptation
    adaptation.use_encoder(selection.weights if selection else adaptation.kept_encoder())
    if trainer.is_global_zero:
        if selection:
            print(f"kept epoch {selection.epoch}, of mask-free quality {selection.quality:.3f}")
        _write_adapted(folder, adaptation.sam)
    trainer.strategy.barrier()


def _write_adapted(folder: RunFolder, sam: Sam) -> None:
    try:
        write_folder(folder.adapted, partial(save_folder, sam))
    except InputError as error:
        raise InputError(f"{error}; then `ringsam resume {folder.path}` writes them") from error
    print(f"adapted weights: {folder.adapted}")


@contextmanager
def _alone(folder: RunFolder) -> Iterator[None]:
    """The first rank holds the folder for all; raises InputError where another process does."""
    if not is_first_rank():
        yield
        return
    with folder.held():
        remove_orphans(folder.checkpoints)
        remove_orphans(folder.log)
        remove_orphans(folder.sheet(0).parent)
        yield


FOR_TRYING_OUT = (
    "nano is bundled for trying out; for results train with --weights facebook/sam-vit-base"
)


def _announcement(learn: TwoBoxData, held_out: TwoBoxData, config: Config, sam: Sam) -> str:
    aside = f" and {len(held_out.images)} held out" if held_out.images else ""
    run = (
        f"{len(learn.images)} images{aside}, {learn.num_objects} objects "
        f"({learn.num_skipped} images without objects skipped); SAM {config.weights} at "
        f"{sam.input_size} px; prompts {config.method.prompts}; {config.epochs} epochs at rate {encoder_rate(sam, config.optim):.2g}"
    )
    return f"{run}\n{FOR_TRYING_OUT}" if config.weights == "nano" else run

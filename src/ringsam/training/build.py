"""Settings to objects: SAM, the adaptation, the loader, the Trainer."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric import Fabric
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy
from lightning_utilities.core.imports import RequirementCache
from torch.utils.data import DataLoader

from ringsam.batch import collate
from ringsam.config import Config, HardwareConfig
from ringsam.data.dataset import TwoBoxData, TwoBoxDataset
from ringsam.errors import InputError
from ringsam.feature_cache import FeatureCache
from ringsam.method.adaptation import Adaptation
from ringsam.runs import RunFolder
from ringsam.sam.model import Sam
from ringsam.sam.preprocess import Preprocess
from ringsam.training.checkpoint import VerifiedCheckpointIO
from ringsam.training.epoch_log import EpochLog
from ringsam.training.keeping import Checkpoints
from ringsam.training.loader import TwoBoxLoader
from ringsam.training.module import AdaptationModule
from ringsam.training.no_signal import NoSignal
from ringsam.training.non_finite import NonFiniteSteps
from ringsam.training.overlays import Overlays, few_objects
from ringsam.training.ranks import SameOnEveryRank
from ringsam.training.selection import Selection
from ringsam.training.tensorboard import SparableTensorBoard


def build_module(sam: Sam, config: Config) -> AdaptationModule:
    """The method around this SAM. Raises InputError for settings that this SAM cannot have."""
    try:
        adaptation = Adaptation(
            sam,
            config.method,
            seed=config.seed,
            checkpointing=config.hardware.checkpointing,
            cache=build_cache(config.hardware),
        )
    except ValueError as error:
        raise InputError(f"--method.unfreeze_last_k: {error}") from error
    # Under mixed precision Lightning clips no gradients of a fused optimizer.
    fused = config.hardware.precision == "32-true"
    return AdaptationModule(adaptation, config.optim, seed=config.seed, fused=fused)


def build_cache(hardware: HardwareConfig) -> FeatureCache | None:
    """Where the frozen parts' features are kept. Raises InputError for a folder that cannot be made."""
    if not hardware.cache_gb:
        return None
    folder = Path(hardware.cache_dir) if hardware.cache_dir else None
    try:
        return FeatureCache(int(hardware.cache_gb * 1e9), folder)
    except OSError as error:
        raise InputError(f"--hardware.cache_dir {folder}: cannot be used: {error}") from error


def build_loader(data: TwoBoxData, sam: Sam, config: Config) -> TwoBoxLoader:
    """The data's images, in the input frame of this SAM; masks, if it has them, for the monitors."""
    preprocess = Preprocess(sam.input_size, config.data.resize)
    return TwoBoxLoader(
        TwoBoxDataset(
            data.images,
            preprocess,
            with_masks=data.has_masks,
            with_colours=config.method.asks_colours,
            with_keys=config.hardware.cache_gb > 0,
        ),
        batch_size=config.optim.batch_size,
        num_workers=config.data.num_workers,
        seed=config.seed,
    )


def build_selection(
    held_out: TwoBoxData, adaptation: Adaptation, config: Config
) -> Selection | None:
    """What chooses the epoch by the images held out; nothing where none are."""
    if not held_out.images:
        return None
    preprocess = Preprocess(adaptation.sam.input_size, config.data.resize)
    images = TwoBoxDataset(held_out.images, preprocess, with_masks=False)
    loader = DataLoader(images, batch_size=config.optim.batch_size, collate_fn=collate)
    num_objects = held_out.num_objects
    return Selection(loader, adaptation, num_objects=num_objects, seed=config.seed)


def build_overlays(
    folder: RunFolder, shown: TwoBoxData, adaptation: Adaptation, config: Config
) -> Overlays:
    """What draws a few of these objects after each epoch."""
    preprocess = Preprocess(adaptation.sam.input_size, config.data.resize)
    return Overlays(folder, few_objects(shown.images), adaptation, preprocess)


def build_trainer(
    folder: RunFolder,
    config: Config,
    selection: Selection | None = None,
    overlays: Overlays | None = None,
) -> L.Trainer:
    """Lightning's Trainer, writing to this run folder."""
    # Drawn first: what an epoch made, also where it is undone
    callbacks: list[L.Callback] = [overlays] if overlays else []
    callbacks += [selection] if selection else []
    callbacks += [SameOnEveryRank(config), NonFiniteSteps(folder), NoSignal()]
    callbacks += [EpochLog(folder, config), Checkpoints(folder.checkpoints)]
    on_terminal = sys.stdout.isatty()
    if on_terminal:
        callbacks.append(RichProgressBar(leave=False))
    hardware = config.hardware
    if hardware.devices > (os.cpu_count() or 1):
        raise InputError(f"--hardware.devices {hardware.devices}: more than this machine has cores")
    with fitting_hardware(), quietly():
        return L.Trainer(
            accelerator=hardware.accelerator,
            devices=hardware.devices,
            num_nodes=hardware.num_nodes,
            strategy=build_strategy(hardware),
            precision=hardware.precision,
            max_epochs=config.epochs,
            accumulate_grad_batches=config.optim.accumulate,
            gradient_clip_val=config.optim.clip,
            logger=build_loggers(folder),
            callbacks=callbacks,
            plugins=[VerifiedCheckpointIO()],
            default_root_dir=folder.path,
            use_distributed_sampler=False,
            enable_progress_bar=on_terminal,
            enable_model_summary=False,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
        )


def build_fabric(hardware: HardwareConfig) -> Fabric:
    """Device and precision alone, for a step without a loop. Raises InputError for what this machine has not."""
    with fitting_hardware():
        return Fabric(accelerator=hardware.accelerator, devices=1, precision=hardware.precision)


@contextlib.contextmanager
def fitting_hardware() -> Iterator[None]:
    """Turns Lightning's refusal of hardware settings into an InputError."""
    try:
        yield
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"hardware settings do not fit this machine: {reason}") from error


def build_strategy(hardware: HardwareConfig) -> Any:
    """One device works alone; several share every batch, BatchNorm's statistics too, so no buffers are sent."""
    if hardware.devices == hardware.num_nodes == 1:
        return "auto"
    return DDPStrategy(timeout=timedelta(seconds=hardware.rank_timeout_s), broadcast_buffers=False)


def build_loggers(folder: RunFolder) -> list[Logger]:
    """TensorBoard where it is installed (the extra `plots`); the epoch log is always written."""
    if not RequirementCache("tensorboard"):
        return []
    return [SparableTensorBoard(folder.log, name="", version="tensorboard")]


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without Lightning's hints on settings that ringsam chose on purpose."""
    hints = (
        ".*module.s. in eval mode at the start.*",
        ".*does not have many workers.*",
        ".*isinstance.treespec, LeafSpec.*",
        "Checkpoint directory .* exists and is not empty.*",
        "You're resuming from a checkpoint that ended before.*",  # our loader does go on within an epoch
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

"""Pretrain ringsam-nano on drawn images; runs on CPU cores or one GPU, resumes, logs to CSV.

python -m pretrain.train --out runs/nano --steps 4000 --seed 0
python -m pretrain.train --out runs/nano-384 --start runs/nano/weights --image-size 384 --steps 1000 --decay-steps 1000
"""

import argparse
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import DataLoader

from pretrain.batches import DrawnBatches
from pretrain.learner import Learner, Recipe
from pretrain.model import build, load, nano_config


class WriteWeights(lightning.Callback):
    """Writes the averaged weights as a model folder whenever a checkpoint is due, and at the end."""

    def __init__(self, folder: Path, every_steps: int) -> None:
        self.folder, self.every_steps = folder, every_steps

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Write on every `every_steps`-th step."""
        if trainer.global_step % self.every_steps == 0:
            self._write(pl_module)

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write the last weights."""
        self._write(pl_module)

    def _write(self, learner: lightning.LightningModule) -> None:
        assert isinstance(learner, Learner)
        learner.average.save_pretrained(self.folder)


def read_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the log, the checkpoints, the weights"
    )
    parser.add_argument("--start", type=Path, help="model folder to go on from, not fresh weights")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--channels", type=int, default=96)
    parser.add_argument("--num-images", type=int, default=4, help="images a step")
    parser.add_argument("--num-objects", type=int, default=8, help="objects an image, at most")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--warmup-steps", type=int, default=200)
    parser.add_argument(
        "--decay-steps", type=int, default=0, help="last steps, over which the rate falls to zero"
    )
    parser.add_argument(
        "--balance",
        type=float,
        default=1.0,
        help="1: object and surroundings weigh the same; 0: pixels do",
    )
    parser.add_argument(
        "--focus", type=float, default=0.0, help="focal loss's gamma; 0 is cross-entropy"
    )
    parser.add_argument(
        "--correct-every", type=int, default=3, help="every so many steps get a correction click"
    )
    parser.add_argument(
        "--kind-shares",
        type=float,
        nargs=4,
        default=(0.60, 0.12, 0.10, 0.18),
        help="of the steps: a box, a point, points, box and points",
    )
    parser.add_argument("--save-every", type=int, default=200, help="steps between checkpoints")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> Learner:
    """Train as the command line says; a checkpoint in `--out` is resumed."""
    options = read_options(arguments)
    torch.set_flush_denormal(True)
    lightning.seed_everything(options.seed, verbose=False)
    checkpoint = options.out / "last.ckpt"
    first_step = (
        torch.load(checkpoint, weights_only=False)["global_step"] if checkpoint.exists() else 0
    )
    size = options.image_size
    config = nano_config(
        image_size=size, width=options.width, depth=options.depth, channels=options.channels
    )
    model = (
        load(options.start, image_size=size) if options.start else build(config, seed=options.seed)
    )
    recipe = Recipe(
        options.steps,
        options.seed,
        options.learning_rate,
        options.warmup_steps,
        options.decay_steps,
        options.balance,
        options.focus,
        options.correct_every,
        tuple(options.kind_shares),
    )
    batches = DrawnBatches(
        options.seed,
        first_step=first_step,
        size=size,
        num_images=options.num_images,
        num_objects=options.num_objects,
    )
    learner = Learner(model, recipe)
    saver = ModelCheckpoint(
        options.out,
        filename="last",
        every_n_train_steps=options.save_every,
        enable_version_counter=False,
    )
    trainer = lightning.Trainer(
        accelerator="auto",
        devices=1,
        max_steps=options.steps,
        gradient_clip_val=1.0,
        log_every_n_steps=20,
        logger=CSVLogger(options.out, name="log"),
        callbacks=[saver, WriteWeights(options.out / "weights", options.save_every)],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    loader = DataLoader(
        batches,
        batch_size=None,
        num_workers=options.workers,
        prefetch_factor=4 if options.workers else None,
    )
    trainer.fit(learner, loader, ckpt_path=checkpoint if checkpoint.exists() else None)
    return learner


if __name__ == "__main__":
    main()

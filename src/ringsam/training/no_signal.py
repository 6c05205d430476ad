"""A run that has nothing to learn from ends with advice, instead of hours later with the weights it began with."""

from typing import Any

import lightning as L

from ringsam.errors import GaveUp
from ringsam.training.module import AdaptationModule

EPOCHS, LEAST_STEPS, MOST_STEPS = 3, 200, 2000  # whole epochs, but within these bounds


class NoSignal(L.Callback):
    """Counts the steps in a row of which no rank had anything that trains."""

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, AdaptationModule)
        per_epoch = int(trainer.num_training_batches) // trainer.accumulate_grad_batches
        limit = min(max(EPOCHS * per_epoch, LEAST_STEPS), MOST_STEPS)
        if pl_module.silent_in_a_row < limit:
            return
        threshold = pl_module.adaptation.config.entropy_thresh
        raise GaveUp(
            f"{limit} steps in a row had nothing to learn from: no object's mask had an entropy of at most "
            f"{threshold:g} nats, or none had a cell to contrast; the lines of the epochs show the entropies; raise "
            "--method.entropy_thresh, ask with --method.prompts box, or train --recipe best, which learns from every object"
        )

"""One line an epoch: on the terminal, in metrics.jsonl and in metrics.csv; and a word where signal is missing."""

import csv
import io
import json
import time
from collections.abc import Sequence
from typing import Any

import lightning as L

from ringsam.advice import TERMS, Advice, Epoch, on_training
from ringsam.config import Config
from ringsam.files import write_atomically
from ringsam.runs import RunFolder


class EpochLog(L.Callback):
    """Losses, monitors and the signal ledger of each epoch; a resumed run goes on where its checkpoint stands.

    Where the disk takes none, the rows are kept and written after the next epoch.
    """

    def __init__(self, folder: RunFolder, config: Config) -> None:
        self.folder = folder
        self.config = config
        self.rows: list[dict[str, float]] = []
        self.started = 0.0
        self.said: set[str] = set()  # kinds of advice, each said once in a run

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.started = time.monotonic()  # of an epoch that is gone on with, too
        if trainer.is_global_zero:
            self.rows = self.folder.read_epochs()[: trainer.current_epoch]
            self._write()
            for end in range(1, len(self.rows) + 1):
                self.said |= {advice.kind for advice in warnings(self.config, self.rows[:end])}

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        logged = trainer.callback_metrics  # asked for on every rank: it sums over them
        if not trainer.is_global_zero:
            return
        row = {"epoch": trainer.current_epoch + 1, "seconds": time.monotonic() - self.started}
        row |= epoch_figures({k: float(v) for k, v in logged.items()})
        self.rows.append(row)
        self._write()
        print_epoch(row, trainer.max_epochs)
        for advice in warnings(self.config, self.rows):
            if advice.kind not in self.said:
                print(f"advice: {advice.text}", flush=True)
                self.said.add(advice.kind)

    def _write(self) -> None:
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        try:
            write_atomically(self.folder.metrics, lines)
            write_atomically(self.folder.metrics.with_suffix(".csv"), as_csv(self.rows))
        except OSError as error:
            kept = "make room; the lines are kept and written after the next epoch"
            print(f"NOT LOGGED: {self.folder.metrics}: {error.strerror}; {kept}", flush=True)


def as_csv(rows: list[dict[str, float]]) -> str:
    """A table with a column for every figure that any epoch has."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def warnings(config: Config, epochs: Sequence[Epoch]) -> list[Advice]:
    """What a person should hear while there is time to change something."""
    return [advice for advice in on_training(config, epochs) if advice.tone == "warning"]


def epoch_figures(logged: dict[str, float]) -> dict[str, float]:
    """An epoch's means and counts; the entropy's sum becomes its mean over objects."""
    entropy = logged.pop("entropy_sum", 0.0) / max(logged.get("num_objects", 0.0), 1.0)
    counts = {key: round(value) for key, value in logged.items() if key.startswith("num_")}
    return {**logged, **counts, "entropy": entropy}


def contrast_ledger(row: dict[str, Any]) -> list[str]:
    """What the seed's contrast had to learn from."""
    return [
        f"trusted {row['num_trusted']}/{row['num_objects']}",
        f"anchors {row['num_anchors']}",
        f"hard negatives {row['num_missed'] + row['num_spurious']}",
        f"background {row['num_background']}",
    ]


def print_epoch(row: dict[str, Any], num_epochs: int | None) -> None:
    """One line: how good it is where that can be told, what trains, and what it was learned from."""
    terms = [f"{name} {row[name]:.3g}" for name in TERMS if name in row]
    held_out, contrasted = "mask_free_quality" in row, "num_anchors" in row
    parts = [
        f"epoch {row['epoch']}/{num_epochs}",
        *([f"mask-free quality {row['mask_free_quality']:.3f}"] if held_out else []),
        *terms,
        *(contrast_ledger(row) if contrasted else [f"objects {row['num_objects']}"]),
        f"steps without signal {row['num_steps_without_signal']}/{row['num_steps']}",
        f"{row['seconds']:.0f} s",
    ]
    if row["num_steps_not_finite"]:
        parts.append(f"NOT FINITE, and left out: {row['num_steps_not_finite']} steps")
    print("  ".join(parts), flush=True)

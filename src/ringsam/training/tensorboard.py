"""Curves for TensorBoard, which a run can spare."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger


class SparableTensorBoard(TensorBoardLogger):
    """Where the disk takes no more it says so and is still; TensorBoard itself would end the training."""

    is_still = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        _quieten_the_writers_thread()

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._if_possible(lambda: super(SparableTensorBoard, self).log_metrics(metrics, step))

    def save(self) -> None:
        self._if_possible(super().save)

    def finalize(self, status: str) -> None:
        self._if_possible(lambda: super(SparableTensorBoard, self).finalize(status))

    def _if_possible(self, write: Callable[[], None]) -> None:
        if self.is_still:
            return
        try:
            write()
        except (OSError, ValueError) as error:
            reason = error if isinstance(error, OSError) else error.__cause__
            if not isinstance(reason, OSError):
                raise
            self.is_still = True
            print(
                f"NOT LOGGED: {self.log_dir}: {reason.strerror}; no more curves there", flush=True
            )


def _quieten_the_writers_thread() -> None:
    """TensorBoard writes in a thread, which prints a traceback before the error is raised where we hear of it."""
    before = threading.excepthook

    def heard(failure: threading.ExceptHookArgs) -> None:
        writes = type(failure.thread).__module__.startswith("tensorboard.")
        if not (writes and isinstance(failure.exc_value, OSError)):
            before(failure)

    threading.excepthook = heard

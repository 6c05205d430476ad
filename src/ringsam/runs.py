"""A run folder: the names of its files, in one place."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from ringsam.config import Config, as_yaml, read_config
from ringsam.errors import InputError
from ringsam.files import nearest_folder, write_atomically

_UNBORN = "it holds a run that was ended before its first step"
_LONGEST_NAME = ".epoch=0000-step=00000000.ckpt.4194304.unfinished"  # of the files in a run folder


@dataclass(frozen=True)
class RunFolder:
    """Where `ringsam train` leaves what it makes."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def data_note(self) -> Path:
        """Which data the run was trained on."""
        return self.path / "data.json"

    @property
    def original(self) -> Path:
        """SAM before the adaptation, a transformers folder."""
        return self.path / "original"

    @property
    def adapted(self) -> Path:
        """SAM after the best epoch, or the last where none is chosen; a transformers folder."""
        return self.path / "adapted"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """One JSON object a line: every loss, monitor and ledger entry of an epoch."""
        return self.path / "log" / "metrics.jsonl"

    @property
    def log(self) -> Path:
        return self.path / "log"

    def sheet(self, epoch: int) -> Path:
        """The picture of a few objects' masks after this epoch; 0 is before training."""
        return self.log / "overlays" / f"epoch={epoch:04d}.png"

    def sheets(self) -> dict[int, Path]:
        """Those that were drawn, by epoch."""
        drawn = sorted(self.sheet(0).parent.glob("epoch=*.png"))
        return {int(path.stem.partition("=")[2]): path for path in drawn}

    @property
    def evaluation(self) -> Path:
        return self.path / "evaluation.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def is_run(self) -> bool:
        return self.config.is_file()

    def refuse_unusable(self) -> None:
        """Raises InputError where no run could be written, before anything dear is loaded; leaves nothing behind.

        A folder that holds anything is refused, so that no run is ever written over.
        """
        try:
            if self.path.exists() and not self.path.is_dir():
                raise InputError(f"{self.path}: is a file; give another --out")
            if self.path.is_dir() and any(self.path.iterdir()):
                mend = f"{self._mend()}give another --out"
                raise InputError(f"{self.path}: the run folder is not empty; {mend}")
            with contextlib.suppress(FileNotFoundError):
                self.checkpoints.joinpath(_LONGEST_NAME).lstat()
            with tempfile.TemporaryFile(dir=nearest_folder(self.path)):
                pass
        except OSError as error:
            raise self._cannot_be_made(error) from error

    def _mend(self) -> str:
        if self.is_run():
            return f"continue it with `ringsam resume {self.path}`, or "
        mend = f"{_UNBORN}; if none starts there now, remove it (rm -r {self.path}), or "
        return mend if self._is_unborn() else ""

    def _is_unborn(self) -> bool:
        """Whether it holds nothing but what is written before the settings, which come last."""
        before = (self.log, self.checkpoints, self.data_note, self.original)
        found = [*self.path.iterdir()] if self.path.is_dir() else []
        left = [path for path in found if path not in before and path.suffix != ".unfinished"]
        return self.log in found and not left

    def create(self) -> None:
        """Make the folder; raises InputError as `refuse_unusable` does."""
        self.refuse_unusable()
        try:
            self.log.mkdir(parents=True)
            self.checkpoints.mkdir()
        except OSError as error:
            raise self._cannot_be_made(error) from error

    def _cannot_be_made(self, error: OSError) -> InputError:
        return InputError(f"{self.path}: cannot be made: {error.strerror}; give another --out")

    @contextmanager
    def held(self) -> Iterator[None]:
        """While one process trains in the folder no other may; the system lets go when it dies."""
        try:
            with FileLock(self.path / ".lock", timeout=0):
                yield
        except Timeout as error:
            mend = "wait for it, or give another --out"
            raise InputError(f"{self.path}: another process is training in it; {mend}") from error

    def read_config(self) -> Config:
        if not self.is_run():
            missing = f"{self.config.name} is missing" + (f"; {_UNBORN}" * self._is_unborn())
            raise InputError(f"{self.path}: is not a run folder: {missing}")
        return read_config(self.config)

    def write_config(self, config: Config) -> None:
        write_atomically(self.config, as_yaml(config))

    def read_epochs(self) -> list[dict[str, float]]:
        """What each finished epoch logged, in order; empty before the first."""
        if not self.metrics.is_file():
            return []
        try:
            return [json.loads(row) for row in self.metrics.read_text("utf-8").splitlines()]
        except ValueError as error:
            mend = "remove the file; only the curves are lost"
            raise InputError(f"{self.metrics}: was cut or altered ({error}); {mend}") from error

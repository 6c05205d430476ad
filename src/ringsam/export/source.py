"""What is exported: SAM, and the run that made it where there is one."""

from dataclasses import dataclass
from pathlib import Path

from ringsam.errors import InputError
from ringsam.runs import RunFolder
from ringsam.sam.model import Sam
from ringsam.sam.weights import load_sam


@dataclass(frozen=True)
class Source:
    """The weights that `name` stands for; `run` is None where they are no run's."""

    name: str
    sam: Sam
    run: RunFolder | None

    @classmethod
    def of(cls, run_or_weights: str | Path) -> "Source":
        run = RunFolder(Path(run_or_weights))
        return cls(str(run_or_weights), load_sam(run_or_weights), run if run.is_run() else None)

    def default_place(self, to: str) -> Path:
        """Beside the run's other files; raises InputError where there is no run."""
        if self.run is None:
            raise InputError(f"{self.name}: is not a run folder; say where to with --out")
        return self.run.path / f"export_{to}"

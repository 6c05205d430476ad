"""What each command does: its arguments are its flags, its docstring is its help."""

from ringsam.commands.adapting import doctor, plan, resume, train
from ringsam.commands.labels import annotate, check, import_, review
from ringsam.commands.results import bench, evaluate, export, predict, report

__all__ = [
    "annotate",
    "bench",
    "check",
    "doctor",
    "evaluate",
    "export",
    "import_",
    "plan",
    "predict",
    "report",
    "resume",
    "review",
    "train",
]

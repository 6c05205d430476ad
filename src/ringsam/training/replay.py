"""The step of a capture once more: which loss is no number, and from which batch."""

from pathlib import Path

from ringsam.batch import Batch
from ringsam.draws import Draws
from ringsam.runs import RunFolder
from ringsam.sam.weights import load_sam, read_pth
from ringsam.training.build import build_module
from ringsam.training.module import load_towers


def replay(capture: str | Path) -> dict[str, float]:
    """Every loss of the step that ended a run, from its `not_finite_rank0.pt`, on the CPU.

    Raises InputError as `read_pth` and `load_towers` do.
    """
    path = Path(capture)
    content, folder = read_pth(path), RunFolder(path.parent)
    config = folder.read_config()
    adaptation = build_module(load_sam(folder.original), config).adaptation
    load_towers(adaptation, dict(content))
    adaptation.train()
    output = adaptation.step(Batch(**content["batch"]), Draws(config.seed, content["epoch"]))
    return {name: float(term.detach()) for name, term in output.terms.items()}

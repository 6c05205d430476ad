"""What `ringsam plan` foretells, against what is measured."""

from collections.abc import Iterator

from lightning.fabric import Fabric

from benchmarks.figures import SMALL, Figure, Options, OurStep, samples_of, seed_method
from ringsam.config import Config
from ringsam.training.memory import TensorBytes, step_memory


def planner(options: Options) -> Iterator[Figure]:
    """What `ringsam plan` foretells of a step from steps of one and two images, and what that step takes."""
    work = SMALL._replace(num_images=6)
    samples, fabric = samples_of(work), Fabric(accelerator="cpu", devices=1)
    for checkpointing in (False, True):
        step = OurStep(work, seed_method(0), checkpointing=checkpointing)
        foretold = step_memory(step.adaptation, samples[:2], Config(), fabric).of(6)
        with TensorBytes.of(step.adaptation) as counted:
            step()
            counted.restart()
            step()
        assert foretold is not None
        off = 100 * abs(foretold / counted.peak - 1)
        what = "plan: six images foretold from one and two" + (
            ", checkpointed" if checkpointing else ""
        )
        yield Figure("plan", what, off, " % off", at_most=15)

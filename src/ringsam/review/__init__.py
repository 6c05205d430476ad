"""The page on which a person accepts, redraws or rejects a run's masks."""

from pathlib import Path

from ringsam.config import Refinement
from ringsam.pages import refuse_without_web


def review(
    run: Path,
    images: Path,
    boxes: Path,
    out: Path,
    *,
    refine: Refinement = "none",
    host: str = "127.0.0.1",
    port: int = 0,
) -> str:
    """Serve the page until it is interrupted; says what the file holds then.

    Raises InputError where the run, the images, the boxes, the file or the address cannot be used.
    """
    refuse_without_web()
    from ringsam.review.server import serve

    return serve(run, images, boxes, out, refine=refine, host=host, port=port)

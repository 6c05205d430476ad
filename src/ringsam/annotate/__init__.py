"""The page on which a person draws two boxes per object."""

from pathlib import Path

from ringsam.config import Refinement
from ringsam.pages import refuse_without_web


def annotate(
    images: Path,
    out: Path,
    *,
    weights: str = "nano",
    refine: Refinement = "none",
    host: str = "127.0.0.1",
    port: int = 0,
) -> str:
    """Serve the page until it is interrupted; says what the file holds then.

    Raises InputError where the images, the file, the weights or the address cannot be used.
    """
    refuse_without_web()
    from ringsam.annotate.server import serve

    return serve(images, out, weights=weights, refine=refine, host=host, port=port)

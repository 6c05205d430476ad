"""The page on which a person draws two boxes per object."""

from importlib.util import find_spec
from pathlib import Path

from ringsam.errors import InputError


def annotate(
    images: Path, out: Path, *, weights: str = "nano", host: str = "127.0.0.1", port: int = 0
) -> str:
    """Serve the page until it is interrupted; says what the file holds then.

    Raises InputError where the images, the file, the weights or the address cannot be used.
    """
    missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if missing:
        raise InputError(f"the page needs {' and '.join(missing)}; run `pip install ringsam[web]`")
    from ringsam.annotate.server import serve

    return serve(images, out, weights=weights, host=host, port=port)

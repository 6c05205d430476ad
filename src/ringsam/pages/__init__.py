"""What the pages for a person have in common: a local server with its guard, images, masks, and a stage to draw on."""

from importlib.util import find_spec

from ringsam.errors import InputError, how_to_install


def refuse_without_web() -> None:
    """Raises InputError where the web extra is not installed."""
    missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if missing:
        raise InputError(f"the page needs {' and '.join(missing)}; {how_to_install('web')}")

"""From the values that a file holds to the 8-bit RGB that a person sees."""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]  # (height, width, 3)
Values = npt.NDArray[np.generic]  # (height, width) or (height, width, 1 to 4), as the file has them

WINDOW_PERCENTILES = (0.1, 99.9)


def to_rgb(values: Values) -> Pixels:
    """RGB over white from gray or RGB of any real kind, each with or without alpha behind it.

    Raises ValueError where no pixel is a finite number.
    """
    values = values[..., None] if values.ndim == 2 else values
    has_alpha = values.shape[2] in (2, 4)
    colour = to_8_bits(values[..., :-1] if has_alpha else values)
    if has_alpha:
        opacity = _opacity(values[..., -1:])
        colour = np.rint(255 - (255 - colour.astype(np.float32)) * opacity).astype(np.uint8)
    return np.array(np.broadcast_to(colour, (*colour.shape[:2], 3)), order="C")  # writable


def to_8_bits(values: Values) -> Pixels:
    """8-bit values as they are, others through one percentile window; NaN becomes 0.

    The window is the same for all channels, which keeps the colours' balance.
    """
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    if values.dtype == np.bool_:
        return np.where(values, 255, 0).astype(np.uint8)
    numbers = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        raise ValueError("no pixel is a finite number")
    low, high = np.percentile(finite, WINDOW_PERCENTILES)
    if high <= low:  # nearly all pixels are alike: show the few that are not
        low, high = finite.min(), finite.max()
    shown = (np.clip(numbers, low, high) - low) / (high - low if high > low else 1)
    levels: Pixels = np.rint(np.nan_to_num(shown) * 255).astype(np.uint8)
    return levels


def _opacity(alpha: Values) -> npt.NDArray[np.float32]:
    full = np.iinfo(alpha.dtype.name).max if alpha.dtype.kind in "ui" else 1
    return np.clip(alpha.astype(np.float32) / full, 0, 1)

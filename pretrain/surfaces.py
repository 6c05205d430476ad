"""Drawn surfaces: skin with a lesion, seen through a lens, and a worn machined face with its defects."""

import numpy as np

from pretrain.canvas import Canvas
from pretrain.fields import colour, noise, shading, stripes, texture, tinted, vignette
from pretrain.painting import Size
from pretrain.shapes import Shape, blob, border_patch, brushed, outlined, ragged, stroke


def lesion(rng: np.random.Generator, size: Size) -> Canvas:
    """One large region with a fuzzy torn outline on a smooth ground, seen through a lens, with hairs and bubbles."""
    base = colour(rng, low=0.45, high=0.9)
    if rng.random() < 0.6:
        base = np.clip(
            rng.uniform(0.55, 0.95)
            * np.array([1.0, rng.uniform(0.6, 0.9), rng.uniform(0.45, 0.85)]),
            0,
            1,
        )
    ground = 0.03 * rng.uniform(0, 2) * texture(rng, *size) + rng.uniform(0, 0.12) * shading(
        rng, *size
    )
    canvas = Canvas(tinted(ground, base.astype(np.float32), np.ones(3, dtype=np.float32)))
    radius = max(size) * rng.uniform(0.1, 0.42)
    centre = (size[0] * rng.uniform(0.35, 0.65), size[1] * rng.uniform(0.35, 0.65))
    shape = ragged(
        rng,
        size,
        centre=centre,
        radius_px=radius,
        aspect=np.exp(rng.normal(0, 0.2)),
        raggedness=rng.choice([0.03, 0.08, 0.15]),
        softness_px=radius * rng.uniform(0.02, 0.5),
    )
    depth = rng.uniform(0.12, 0.7) * rng.uniform(0.4, 1.2, 3) * (-1 if rng.random() < 0.1 else 1)
    mottle = 1 + rng.uniform(0, 0.5) * texture(rng, *shape.alpha.shape)
    core = shape.alpha ** rng.uniform(0.7, 1.3) * np.clip(mottle, 0.1, 2)
    canvas.pixels[shape.window] -= core[..., None] * (depth * base).astype(np.float32)
    name = canvas.claim(outlined(shape, reach_px=radius * rng.uniform(0.01, 0.1)))
    if rng.random() < 0.3:
        spot = ragged(
            rng,
            size,
            centre=(centre[0] + rng.normal(0, radius / 3), centre[1] + rng.normal(0, radius / 3)),
            radius_px=radius * rng.uniform(0.2, 0.5),
            aspect=1.0,
            raggedness=0.1,
            softness_px=radius * 0.1,
        )
        canvas.add(spot, (-rng.uniform(0.1, 0.25) * base).astype(np.float32))
        canvas.claim(spot, parent=name)
    _hairs(rng, canvas)
    if rng.random() < 0.7:
        canvas.pixels *= vignette(rng, *size)[..., None] * rng.uniform(0.6, 1.0) + rng.uniform(
            0, 0.1
        )
    return canvas


def _hairs(rng: np.random.Generator, canvas: Canvas) -> None:
    """Thin dark lines and small bright bubbles over everything, owned by nobody."""
    longest = max(canvas.size)
    for _ in range(int(rng.choice([0, 0, 4, 12]))):
        start = (rng.uniform(0, canvas.size[0]), rng.uniform(0, canvas.size[1]))
        hair = stroke(
            rng,
            canvas.size,
            start=start,
            length_px=longest * rng.uniform(0.1, 0.7),
            width_px=rng.uniform(0.5, 2),
            wobble=0.15,
        )
        canvas.blend(hair, colour(rng, low=0.0, high=0.4), opacity=rng.uniform(0.3, 0.9))
    for _ in range(int(rng.choice([0, 0, 5]))):
        centre = (rng.uniform(0, canvas.size[0]), rng.uniform(0, canvas.size[1]))
        canvas.add(
            blob(rng, canvas.size, centre=centre, radius_px=longest * rng.uniform(0.005, 0.02)),
            np.full(3, rng.uniform(0.1, 0.4), np.float32),
        )


def worn_surface(rng: np.random.Generator, size: Size) -> Canvas:
    """A gray machined surface with faint cracks, holes, scratches, wear; stripes and edges that are no object distract."""
    base = np.full(3, rng.uniform(0.2, 0.75), dtype=np.float32)
    stretch = (
        (rng.uniform(5, 40), 1.0)
        if rng.random() < 0.6
        else (1.0, rng.uniform(5, 40))
        if rng.random() < 0.5
        else (1.0, 1.0)
    )
    streaks = noise(rng, *size, grain_px=rng.uniform(1.5, 8), octaves=3, stretch=stretch)
    ground = rng.uniform(0.01, 0.08) * streaks + rng.uniform(0, 0.2) * shading(rng, *size)
    ground += rng.uniform(0, 0.05) * noise(rng, *size, grain_px=max(size) / 3, octaves=4)
    if rng.random() < 0.2:
        ground += rng.uniform(0.02, 0.1) * stripes(rng, *size, period_px=rng.uniform(4, 30))
    canvas = Canvas(tinted(ground, base, np.ones(3, dtype=np.float32)))
    _bands(rng, canvas)
    for _ in range(int(rng.choice([1, 1, 2, 3, 6]))):
        shape = _defect(rng, size)
        if canvas.overlap(shape) > 0.2:
            continue
        change = rng.uniform(0.05, 0.4) * rng.choice([-1, -1, 1])
        if rng.random() < 0.4:  # wear: the texture itself changes
            grain = noise(
                rng, *shape.alpha.shape, grain_px=rng.uniform(2, 10), octaves=2, stretch=stretch
            )
            share = rng.uniform(0, 0.6)
            canvas.add(
                shape, (share * change + abs(change) * 0.5 * grain)[..., None].astype(np.float32)
            )
        else:
            canvas.add(shape, np.full(3, change, dtype=np.float32))
        if rng.random() < 0.3:
            canvas.claim(brushed(shape, size, reach_px=max(size) * rng.uniform(0.002, 0.01)))
        else:
            canvas.claim(outlined(shape, reach_px=rng.uniform(0.5, 2.0)))
    return canvas


def _bands(rng: np.random.Generator, canvas: Canvas) -> None:
    """Bright or dark straight bands across the whole surface, and a dark margin: no objects."""
    height, width = canvas.size
    for _ in range(int(rng.integers(0, 5))):
        at, thick = rng.uniform(0, width), rng.uniform(1, width / 8)
        profile = np.clip(1.5 - np.abs(np.arange(width) - at) / thick, 0, 1).astype(np.float32)
        canvas.pixels += rng.uniform(-0.15, 0.25) * profile[None, :, None]
    if rng.random() < 0.4:
        margin = int(rng.uniform(0.01, 0.15) * width)
        sides = slice(0, margin)
        if margin and rng.choice(2):
            sides = slice(width - margin, width)
        canvas.pixels[:, sides] *= rng.uniform(0.1, 0.6)
    if rng.random() < 0.4:
        canvas.pixels[:] = np.swapaxes(canvas.pixels, 0, 1) if height == width else canvas.pixels


def _defect(rng: np.random.Generator, size: Size) -> Shape:
    """A crack, a hole, a stain, a large fuzzy patch, or wear that begins at a border."""
    longest, kind = max(size), rng.integers(7)
    centre = (rng.uniform(0.05, 0.95) * size[0], rng.uniform(0.05, 0.95) * size[1])
    if kind == 0:
        return stroke(
            rng,
            size,
            start=centre,
            length_px=longest * rng.uniform(0.1, 0.7),
            width_px=longest * rng.uniform(0.005, 0.03),
        )
    if kind == 1:
        return blob(
            rng,
            size,
            centre=centre,
            radius_px=longest * np.exp(rng.uniform(np.log(0.007), np.log(0.06))),
            aspect=np.exp(rng.normal(0, 0.4)),
            waviness=0.15,
            softness_px=rng.uniform(1, 4),
        )
    if kind == 2:
        return blob(
            rng,
            size,
            centre=centre,
            radius_px=longest * rng.uniform(0.02, 0.1),
            aspect=np.exp(rng.choice([-1, 1]) * rng.uniform(0.5, 1.3)),
            waviness=0.2,
            softness_px=rng.uniform(1, 8),
        )
    if kind in (3, 4):
        return border_patch(
            rng,
            size,
            num_borders=int(rng.integers(1, 4)),
            raggedness=rng.choice([0.0, 0.02, 0.06]),
            softness_px=longest * rng.choice([0.004, 0.02, 0.06]),
        )
    radius = longest * rng.uniform(0.05, 0.35)
    return ragged(
        rng,
        size,
        centre=centre,
        radius_px=radius,
        aspect=np.exp(rng.normal(0, 0.4)),
        raggedness=rng.choice([0.05, 0.12, 0.2]),
        softness_px=radius * rng.uniform(0.02, 0.4),
    )

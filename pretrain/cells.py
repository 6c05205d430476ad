"""Drawn cells: glowing on black, stained in a section, and whole with their nuclei."""

import numpy as np

from pretrain.canvas import Canvas
from pretrain.fields import colour, noise
from pretrain.painting import Size, lay_ground, pick_centre, surface_colours
from pretrain.shapes import Shape, blob, stroke


def glowing_nuclei(rng: np.random.Generator, size: Size) -> Canvas:
    """Fluorescence: bright soft cells on black, few to a hundred, dim to saturated, some in clumps."""
    light = colour(rng, low=0.7, high=1.0) if rng.random() < 0.25 else np.ones(3, dtype=np.float32)
    ground = rng.choice([0.0, 0.02, 0.06, 0.15])
    haze = np.clip(noise(rng, *size, grain_px=max(size) / 2, octaves=2), 0, None)
    canvas = Canvas((ground + rng.uniform(0, 0.06) * haze)[..., None] * light)
    mean_radius = max(size) * np.exp(rng.uniform(np.log(0.014), np.log(0.09)))
    count = int(min(rng.integers(2, 120), 0.35 * size[0] * size[1] / (3.2 * mean_radius**2) + 1))
    spread, clumping, dimming = (
        rng.uniform(0.05, 0.4),
        rng.choice([0, 0.2, 0.6]),
        rng.uniform(0, 0.5),
    )
    softness, grain = mean_radius * rng.uniform(0.05, 0.5), rng.uniform(0, 0.3)
    halo, last = rng.uniform(0, 0.25), None
    for _ in range(count):
        radius = mean_radius * np.exp(rng.normal(0, spread))
        centre = pick_centre(rng, size, radius, last if rng.random() < clumping else None)
        shape = _cell(
            rng, size, centre, radius, softness, spread_of_aspect=0.25, waviness=(0.02, 0.16)
        )
        if canvas.overlap(shape) > 0.3:
            continue
        level = rng.uniform(0.7, 1.0) * np.exp(-abs(rng.normal(0, dimming)))
        if halo > 0.1:
            glow = blob(rng, size, centre=centre, radius_px=radius * 1.3, softness_px=radius * 1.5)
            canvas.add(glow, halo * level * 0.3 * light)
        canvas.blend(
            shape, surface_colours(rng, shape, level * light, strength=grain * level), opacity=0.95
        )
        canvas.claim(shape)
        last = (*centre, radius)
    if rng.random() < 0.4:  # a short exposure
        canvas.pixels *= rng.uniform(0.1, 0.5)
    return canvas


def stained_cells(rng: np.random.Generator, size: Size) -> Canvas:
    """A stained section: nuclei of one colour in a crowded, fibrous ground of another; dark on light as a rule."""
    inverted = rng.random() < 0.15
    low, high = (0.1, 0.4) if inverted else (0.5, 0.95)
    canvas = lay_ground(rng, size, low=low, high=high, strength=rng.uniform(0.01, 0.1))
    for _ in range(int(rng.integers(0, 12))):
        start = (rng.uniform(0, size[0]), rng.uniform(0, size[1]))
        fibre = stroke(
            rng,
            size,
            start=start,
            length_px=max(size) * rng.uniform(0.2, 0.8),
            width_px=max(size) * rng.uniform(0.005, 0.04),
        )
        canvas.blend(fibre, colour(rng, low=low, high=high), opacity=rng.uniform(0.1, 0.5))
    ink = colour(rng, low=0.55, high=0.9) if inverted else colour(rng, low=0.05, high=0.5)
    mean_radius = max(size) * np.exp(rng.uniform(np.log(0.016), np.log(0.1)))
    count = int(min(rng.integers(2, 100), 0.5 * size[0] * size[1] / (3.2 * mean_radius**2) + 1))
    clumping, softness, last = rng.choice([0, 0.2, 0.5]), mean_radius * rng.uniform(0.05, 0.4), None
    variety, opacity = rng.uniform(0.02, 0.12), rng.uniform(0.45, 1.0)
    for _ in range(count):
        radius = mean_radius * np.exp(rng.normal(0, 0.25))
        centre = pick_centre(rng, size, radius, last if rng.random() < clumping else None)
        shape = _cell(
            rng, size, centre, radius, softness, spread_of_aspect=0.35, waviness=(0.02, 0.2)
        )
        if canvas.overlap(shape) > 0.35:
            continue
        base = np.clip(ink + rng.normal(0, variety, 3), 0, 1)
        canvas.blend(
            shape, surface_colours(rng, shape, base, strength=rng.uniform(0, 0.1)), opacity=opacity
        )
        canvas.claim(shape)
        last = (*centre, radius)
    return canvas


def whole_cells(rng: np.random.Generator, size: Size) -> Canvas:
    """One to thirty cells, each a pale body with a dark nucleus of one to four lobes; some nuclei are objects too."""
    canvas = lay_ground(rng, size, low=0.5, high=1.0, strength=rng.uniform(0.005, 0.05))
    body, ink = colour(rng, low=0.4, high=0.85), colour(rng, low=0.1, high=0.5)
    disc = colour(rng, low=0.4, high=0.95)
    mean_radius = max(size) * np.exp(rng.uniform(np.log(0.05), np.log(0.36)))
    count = int(min(rng.integers(1, 30), 0.6 * size[0] * size[1] / (3.2 * mean_radius**2) + 1))
    softness, nucleated, last = mean_radius * rng.uniform(0.03, 0.25), rng.choice([0.3, 1.0]), None
    for index in range(count):
        radius = mean_radius * np.exp(rng.normal(0, 0.2))
        centre = pick_centre(rng, size, radius, last if rng.random() < 0.3 else None)
        if index == 0:
            centre = (size[0] * rng.uniform(0.35, 0.65), size[1] * rng.uniform(0.35, 0.65))
        shape = _cell(
            rng, size, centre, radius, softness, spread_of_aspect=0.12, waviness=(0.01, 0.15)
        )
        if canvas.overlap(shape) > 0.35:
            continue
        last = (*centre, radius)
        with_nucleus = index == 0 or rng.random() < nucleated
        base = np.clip((body if with_nucleus else disc) + rng.normal(0, 0.03, 3), 0, 1)
        opacity = rng.uniform(0.25, 1.0) if with_nucleus else rng.uniform(0.3, 0.9)
        canvas.blend(
            shape, surface_colours(rng, shape, base, strength=rng.uniform(0, 0.06)), opacity=opacity
        )
        name = canvas.claim(shape)
        if with_nucleus:
            _add_nucleus(rng, canvas, centre, radius, name, ink, softness)
        elif rng.random() < 0.6:  # the pale middle of a red cell
            pale = blob(rng, size, centre=centre, radius_px=radius * 0.5, softness_px=radius * 0.7)
            canvas.add(pale, np.full(3, rng.uniform(0.05, 0.2), np.float32))
    return canvas


def _cell(
    rng: np.random.Generator,
    size: Size,
    centre: tuple[float, float],
    radius: float,
    softness: float,
    *,
    spread_of_aspect: float,
    waviness: tuple[float, float],
) -> Shape:
    """A roundish outline."""
    return blob(
        rng,
        size,
        centre=centre,
        radius_px=radius,
        aspect=np.exp(rng.normal(0, spread_of_aspect)),
        waviness=rng.uniform(*waviness),
        softness_px=softness,
    )


def _add_nucleus(
    rng: np.random.Generator,
    canvas: Canvas,
    centre: tuple[float, float],
    radius: float,
    parent: int,
    ink: np.ndarray,
    softness: float,
) -> None:
    """Lobes of ink around the middle of the parent; together they are one part of it."""
    lobes = int(rng.choice([1, 1, 2, 3, 4]))
    cover = np.zeros(canvas.size, dtype=np.float32)
    for _ in range(lobes):
        away = radius * (rng.uniform(0, 0.25) if lobes == 1 else rng.uniform(0.15, 0.45))
        angle = rng.uniform(0, 2 * np.pi)
        lobe_radius = radius * (rng.uniform(0.4, 0.85) if lobes == 1 else rng.uniform(0.22, 0.42))
        lobe = blob(
            rng,
            canvas.size,
            centre=(centre[0] + away * np.sin(angle), centre[1] + away * np.cos(angle)),
            radius_px=lobe_radius,
            aspect=np.exp(rng.normal(0, 0.2)),
            waviness=0.12,
            softness_px=softness,
        )
        cover[lobe.window] = np.maximum(cover[lobe.window], lobe.alpha)
    cover *= canvas.owner == parent
    nucleus = Shape(cover, 0, 0)
    canvas.blend(
        nucleus,
        np.clip(
            ink + 0.06 * noise(rng, *canvas.size, grain_px=max(radius / 2, 2))[..., None], 0, 1
        ),
        opacity=rng.uniform(0.6, 1.0),
    )
    if rng.random() < 0.4:  # people ask for the whole more often than for the part
        canvas.claim(nucleus, parent=parent)

"""A drawn pile of coloured things, the nearest to everyday photographs."""

import numpy as np

from pretrain.canvas import Canvas
from pretrain.fields import colour, texture
from pretrain.painting import Size, lay_ground, pick_centre
from pretrain.shapes import Shape, blob, polygon, ragged, stroke


def coloured_pile(rng: np.random.Generator, size: Size) -> Canvas:
    """Blobs, polygons, strokes and ragged patches of any colour and size, the later in front of the earlier."""
    canvas = lay_ground(rng, size, low=0.0, high=1.0, strength=rng.uniform(0.0, 0.2))
    mean_radius = max(size) * np.exp(rng.uniform(np.log(0.03), np.log(0.3)))
    for _ in range(
        int(min(rng.integers(1, 40), 0.8 * size[0] * size[1] / (3.2 * mean_radius**2) + 2))
    ):
        radius = mean_radius * np.exp(rng.normal(0, 0.5))
        centre = pick_centre(rng, size, radius, None)
        aspect, softness = np.exp(rng.normal(0, 0.35)), rng.choice([1.0, 1.5, 4.0])
        kind = rng.integers(4)
        if kind == 0:
            shape = polygon(
                rng, size, centre=centre, radius_px=radius, aspect=aspect, softness_px=softness
            )
        elif kind == 1:
            shape = stroke(
                rng, size, start=centre, length_px=4 * radius, width_px=max(0.3 * radius, 2)
            )
        elif kind == 2:
            shape = ragged(
                rng,
                size,
                centre=centre,
                radius_px=radius,
                aspect=aspect,
                raggedness=0.15,
                softness_px=softness,
            )
        else:
            shape = blob(
                rng,
                size,
                centre=centre,
                radius_px=radius,
                aspect=aspect,
                waviness=rng.uniform(0, 0.4),
                softness_px=softness,
            )
        paint = colour(rng) + rng.uniform(0, 0.15) * texture(rng, *shape.alpha.shape)[..., None]
        if rng.random() < 0.3:  # a cast shadow below it
            canvas.add(
                Shape(shape.alpha, min(shape.top + 2, size[0] - shape.alpha.shape[0]), shape.left),
                np.full(3, -0.15, np.float32),
            )
        canvas.blend(shape, paint.astype(np.float32), opacity=rng.uniform(0.7, 1.0))
        canvas.claim(shape)
    return canvas

"""What each recipe adds to zero-shot, as one drawing: a line a data set and prompt, a dot a recipe, whiskers over seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from ringsam.evaluation.charts import Axis, nice_ticks, short_number

Gain = tuple[str, float, float | None]  # recipe, mIoU over zero-shot, standard deviation over seeds

WIDTH, RIGHT, TOP, LINE, BOTTOM = 820.0, 20.0, 40.0, 34.0, 44.0
LETTER = 6.6  # of a name, its width
COLOURS = ("#4269d0", "#efb118", "#ff725c", "#3ca951", "#6cc5b0", "#a463f2", "#97bbf5", "#9c6b4e")


def draw_gains(gains: Mapping[str, Sequence[Gain]]) -> str:
    """The SVG, self-contained; recipes keep their colour on every line."""
    values = [0.0]
    for found in gains.values():
        values += [gain + side * (dev or 0) for _, gain, dev in found for side in (-1, 1)]
    ticks = nice_ticks(min(values), max(values), 6)
    left = 24 + LETTER * max(map(len, gains), default=0)
    axis = Axis(ticks[0], ticks[-1], left, WIDTH - RIGHT)
    recipes = list(dict.fromkeys(name for found in gains.values() for name, _, _ in found))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(recipes)}
    lines = [
        {
            "name": name,
            "y": TOP + LINE * (index + 0.5),
            "dots": [
                {
                    "recipe": recipe,
                    "gain": gain,
                    "colour": colours[recipe],
                    "x": axis.place(gain),
                    "whisker": [axis.place(gain - (dev or 0)), axis.place(gain + (dev or 0))],
                }
                for recipe, gain, dev in found
            ],
        }
        for index, (name, found) in enumerate(gains.items())
    ]
    height = TOP + LINE * len(lines) + BOTTOM
    keys = [(left + 92 * i, name, colour) for i, (name, colour) in enumerate(colours.items())]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("gains.svg.j2").render(
        width=WIDTH,
        height=height,
        left=left,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=height - BOTTOM,
        zero=axis.place(0.0),
        ticks=[(axis.place(tick), short_number(round(tick, 6))) for tick in ticks],
        keys=keys,
        lines=lines,
    )

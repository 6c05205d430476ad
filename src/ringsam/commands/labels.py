"""The commands of a person with boxes and masks: import, annotate, check, review."""

from pathlib import Path

from ringsam.commands.arguments import Data, Images, Labels, Run
from ringsam.config import Refinement


def import_(
    source: Labels,
    out: Path,
    images: Path | None = None,
    single_boxes: bool = False,
    keep_masks: bool = False,
) -> int:
    """Labels of other tools become two_boxes.json: COCO, CSV, YOLO, Pascal VOC, LabelMe, Label Studio, CVAT.

    Args:
        source: A file of labels, or a folder of them.
        out: The folder with the images, or a JSON to write beside them.
        images: Where in that folder the images lie, if names alone do not tell.
        single_boxes: Each box is an object of its own, also where one lies in another.
        keep_masks: Objects that were outlined keep their masks, to evaluate with; training never sees them.
    """
    from ringsam.data.formats import import_labels

    options = {"single_boxes": single_boxes, "keep_masks": keep_masks}
    print(import_labels(source, out, images=images, **options))
    return 0


def annotate(
    images: Images,
    out: Path,
    weights: str = "nano",
    refine: Refinement = "none",
    host: str = "127.0.0.1",
    port: int = 0,
) -> int:
    """Draw two boxes per object on a local page; every object is saved as soon as it is drawn.

    Args:
        images: The folder of the images.
        out: The JSON to make or to go on with; my_images/two_boxes.json for my_images/images.
        weights: What previews the masks: a run folder, or any weights that `ringsam train --weights` takes.
        refine: Show masks moved by each object's own colours, within the big box, or by what both boxes tell.
        host: The address to serve at; the printed link carries the token that lets its holder in.
        port: The port to serve at; 0 takes a free one.
    """
    from ringsam.annotate import annotate as serve_page

    print(serve_page(images, out, weights=weights, refine=refine, host=host, port=port))
    return 0


def review(
    run: Run,
    images: Images,
    boxes: Path,
    out: Path,
    refine: Refinement = "none",
    host: str = "127.0.0.1",
    port: int = 0,
) -> int:
    """Look at a run's masks on a local page, most doubtful first: accept, redraw or reject each.

    Args:
        run: The run folder; its masks are shown beside those of the SAM it began with.
        images: The folder of the images.
        boxes: COCO JSON with big_box and small_box per object.
        out: The JSON of accepted masks to make or to go on with, beside the boxes.
        refine: Move all masks by each object's own colours, within the big box, or by what both boxes tell.
        host: The address to serve at; the printed link carries the token that lets its holder in.
        port: The port to serve at; 0 takes a free one.
    """
    from ringsam.review import review as serve_page

    print(serve_page(run, images, boxes, out, refine=refine, host=host, port=port))
    return 0


def check(data: Data, fix: bool = False) -> int:
    """List every bad row of a data set: file, object, reason, mend.

    Args:
        data: A folder with images/ and two_boxes.json (else annotations.json), or the JSON itself.
        fix: Swap the corners of inverted boxes first; the JSON as it was stays beside it.
    """
    from ringsam.data.check import check as check_data
    from ringsam.data.mending import swap_inverted

    if fix:
        print(f"{swap_inverted(data)} inverted boxes swapped")
    result = check_data(data)
    print(result.text())
    return 2 if result.errors else 0

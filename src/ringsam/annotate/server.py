"""The page's server: a small API over the box file, the images and SAM."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
from fastapi import BackgroundTasks, Depends, FastAPI
from pydantic import Field, StrictInt

from ringsam.annotate.content import DrawnObject
from ringsam.annotate.doubts import Doubts
from ringsam.annotate.store import BoxFile, DrawnImage
from ringsam.config import Refinement
from ringsam.data.annotations import image_folder
from ringsam.errors import InputError
from ringsam.pages.kept import KeptAnswers
from ringsam.pages.page import Body, BoxNumbers, chosen_picture, create_page, mount_files
from ringsam.pages.pictures import Picture, Pictures, find_pictures
from ringsam.pages.preview import Preview
from ringsam.pages.serving import listen, serve_page
from ringsam.predict import load

Id = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]


class ObjectBody(Body):
    """One object as drawn."""

    id: Id | None
    category_id: Id | None
    big_box: BoxNumbers | None
    small_box: BoxNumbers | None


class ImageBody(Body):
    """All objects of an image, and the revision that they were drawn on."""

    revision: str
    objects: list[ObjectBody]


class ClassBody(Body):
    name: Annotated[str, Field(max_length=80, pattern=r"\S")]


def create_app(
    boxes: BoxFile, pictures: Pictures, doubts: Doubts, *, token: str, local: bool
) -> FastAPI:
    """The page and its API, for those who know the token; a `local` one answers to this machine's own names only."""
    preview = doubts.preview
    app = create_page(pictures, preview, token=token, local=local)
    Chosen = Annotated[Picture, Depends(chosen_picture(pictures))]

    @app.get("/api/project")
    def project() -> dict[str, Any]:
        progress = boxes.progress(list(pictures.by_key.values()))
        return {"file": boxes.path.name, "images": progress, "classes": boxes.classes()}

    @app.get("/api/least_sure")
    def least_sure(after: str) -> dict[str, str | None]:
        """Of the images that nobody has seen, but the one with this key."""
        found = doubts.least_sure(unseen(boxes, pictures, after=after))
        return {"key": found.key if found else None}

    @app.post("/api/classes")
    def add_class(body: ClassBody) -> list[dict[str, Any]]:
        return boxes.add_class(body.name.strip())

    @app.get("/api/images/{key}")
    def image(picture: Chosen, later: BackgroundTasks) -> DrawnImage:
        pictures.pixels(picture.path)  # refuses what cannot be shown, and keeps what comes next
        later.add_task(preview.prepare, picture)
        return boxes.image(picture)

    @app.put("/api/images/{key}")
    def save(picture: Chosen, body: ImageBody) -> DrawnImage:
        drawn = [DrawnObject(**each.model_dump()) for each in body.objects]
        return boxes.save(picture, body.revision, drawn)

    mount_files(app, Path(__file__).parent / "static")
    return app


def serve(
    images: Path, out: Path, *, weights: str, refine: Refinement, host: str, port: int
) -> str:
    """Serve the page until it is interrupted; says what the file holds then."""
    pictures, boxes = open_project(images, out)
    for left_out in pictures.left_out:
        print(f"left out: {left_out}")
    if boxes.recovered:
        print(f"{out}: holds again what a crash had left in its journal")
    with listen(host, port) as listener:
        predictor = load(weights).to("cuda" if torch.cuda.is_available() else "cpu")
        kept = KeptAnswers(boxes.path, kind="doubts")
        doubts = Doubts(Preview(predictor, pictures, refine=refine), kept)
        create = partial(create_app, boxes, pictures, doubts)
        with doubts.judging(unseen(boxes, pictures)):
            serve_page(create, listener, host=host, task="Draw two boxes per object")
    done = [image for image in boxes.progress(list(pictures.by_key.values())) if image.seen]
    num_objects = sum(image.num_objects for image in done)
    return f"{out}: {num_objects} objects on {len(done)} of {len(pictures.by_key)} images"


def unseen(boxes: BoxFile, pictures: Pictures, *, after: str | None = None) -> list[Picture]:
    """The images that nobody has seen, in order, from the one with the key `after` on; that one is left out."""
    rows = boxes.progress(list(pictures.by_key.values()))
    place = next((place for place, row in enumerate(rows) if row.key == after), -1)
    turned = [*rows[place + 1 :], *rows[: max(place, 0)]]
    return [pictures.by_key[row.key] for row in turned if not row.seen]


def open_project(images: Path, out: Path) -> tuple[Pictures, BoxFile]:
    """The images and the file of their boxes; raises InputError where `ringsam train` would not find them from it."""
    named_from = image_folder(out.resolve()).resolve()
    if images.is_dir() and not images.resolve().is_relative_to(named_from):
        place = images.parent if images.name == "images" else images
        raise InputError(
            f"{out}: its images would be looked for in {named_from}, not in {images}; "
            f"annotate that folder, or give --out {place / 'two_boxes.json'}"
        )
    return find_pictures(images, named_from=named_from), BoxFile(out)

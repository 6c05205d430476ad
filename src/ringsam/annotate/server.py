"""The page's server: a small API over the box file, the images and SAM."""

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import torch
import uvicorn
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt
from starlette.staticfiles import StaticFiles

from ringsam.annotate.content import DrawnObject
from ringsam.annotate.guard import Guard
from ringsam.annotate.pictures import Picture, Pictures
from ringsam.annotate.preview import Preview, PreviewMask
from ringsam.annotate.store import BoxFile, Conflict, DrawnImage
from ringsam.data.annotations import image_folder
from ringsam.errors import InputError
from ringsam.predict import load

_LOOPBACK = ("127.0.0.1", "::1", "localhost")

Number = StrictInt | Annotated[StrictFloat, Field(allow_inf_nan=False)]
Box = Annotated[list[Number], Field(min_length=4, max_length=4)]
Id = Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)]
Side = Annotated[int, Query(ge=0)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ObjectBody(_Body):
    """One object as drawn."""

    id: Id | None
    category_id: Id | None
    big_box: Box | None
    small_box: Box | None


class ImageBody(_Body):
    """All objects of an image, and the revision that they were drawn on."""

    revision: str
    objects: list[ObjectBody]


class ClassBody(_Body):
    name: Annotated[str, Field(max_length=80, pattern=r"\S")]


class BoxBody(_Body):
    big_box: Box


def create_app(
    boxes: BoxFile, pictures: Pictures, preview: Preview, *, token: str, local: bool
) -> FastAPI:
    """The page and its API, for those who know the token; a `local` one answers to this machine's own names only."""

    def unusable(_: Request, error: Exception) -> JSONResponse:
        """Names an image as the page does, not where it lies on this machine."""
        return _refusal(422, str(error).replace(f"{pictures.folder}{os.sep}", ""))

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, token=token, local=local)
    app.add_exception_handler(InputError, unusable)
    app.add_exception_handler(Conflict, lambda _, error: _refusal(409, str(error)))
    app.add_exception_handler(RequestValidationError, lambda _, error: _refusal(422, str(error)))

    def picture_of(key: str) -> Picture:
        if key not in pictures.by_key:
            raise HTTPException(404, "no such image")
        return pictures.by_key[key]

    Chosen = Annotated[Picture, Depends(picture_of)]

    @app.get("/api/project")
    def project() -> dict[str, Any]:
        progress = boxes.progress(list(pictures.by_key.values()))
        return {"file": boxes.path.name, "images": progress, "classes": boxes.classes()}

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

    @app.get("/api/images/{key}/pixels")
    def pixels(
        picture: Chosen,
        left: Side = 0,
        top: Side = 0,
        right: Side | None = None,
        bottom: Side | None = None,
    ) -> Response:
        part = pictures.jpeg(picture, left=left, top=top, right=right, bottom=bottom)
        return Response(part, media_type="image/jpeg")

    @app.post("/api/images/{key}/mask")
    def mask(picture: Chosen, body: BoxBody) -> PreviewMask | None:
        return preview.mask(picture, body.big_box)

    app.mount("/", StaticFiles(directory=Path(__file__).parent / "static", html=True))
    return app


def serve(images: Path, out: Path, *, weights: str, host: str, port: int) -> str:
    """Serve the page until it is interrupted; says what the file holds then."""
    pictures, boxes = open_project(images, out)
    for left_out in pictures.left_out:
        print(f"left out: {left_out}")
    with _listen(host, port) as listener:
        predictor = load(weights).to("cuda" if torch.cuda.is_available() else "cpu")
        token = secrets.token_urlsafe(24)  # on a shared machine, others reach the loopback too
        preview, local = Preview(predictor, pictures), host in _LOOPBACK
        app = create_app(boxes, pictures, preview, token=token, local=local)
        print(
            f"Draw two boxes per object at  {_address(listener, token)}  (Ctrl-C ends)", flush=True
        )
        config = uvicorn.Config(app, log_level="warning", server_header=False, ws="none")
        with suppress(KeyboardInterrupt):  # the way to end it
            uvicorn.Server(config).run(sockets=[listener])
    done = [image for image in boxes.progress(list(pictures.by_key.values())) if image.seen]
    num_objects = sum(image.num_objects for image in done)
    return f"{out}: {num_objects} objects on {len(done)} of {len(pictures.by_key)} images"


def open_project(images: Path, out: Path) -> tuple[Pictures, BoxFile]:
    """The images and the file of their boxes; raises InputError where `ringsam train` would not find them from it."""
    named_from = image_folder(out.resolve())
    if not images.resolve().is_relative_to(named_from):
        place = images.parent if images.name == "images" else images
        raise InputError(
            f"{out}: its images would be looked for in {named_from}, not in {images}; "
            f"annotate that folder, or give --out {place / 'two_boxes.json'}"
        )
    return Pictures(images, named_from=named_from), BoxFile(out)


def _refusal(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"detail": reason}, status)


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port < 1 << 16:
        raise InputError(f"--port {port}: is no port; give one below 65536, or 0 for a free one")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        mend = "--port 0 takes a free one; the host is an address of this machine"
        raise InputError(f"--host {host} --port {port}: {error.strerror}; {mend}") from error


def _address(listener: socket.socket, token: str) -> str:
    host, port = listener.getsockname()[:2]
    name = socket.gethostname() if host in ("0.0.0.0", "::") else host
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}/?token={token}"

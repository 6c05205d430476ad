"""The part of a page's API that all pages have: pixels, masks, files, and errors as JSON."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt
from starlette.staticfiles import StaticFiles

from ringsam.errors import InputError
from ringsam.pages.guard import Guard
from ringsam.pages.pictures import Picture, Pictures
from ringsam.pages.preview import Preview, PreviewMask

Number = (
    Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]
    | Annotated[StrictFloat, Field(allow_inf_nan=False)]
)
BoxNumbers = Annotated[list[Number], Field(min_length=4, max_length=4)]
_Side = Annotated[int, Query(ge=0)]


class Conflict(Exception):
    """What the change was made on is no longer what the file holds."""


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BoxesBody(Body):
    big_box: BoxNumbers
    small_box: BoxNumbers | None = None


def create_page(pictures: Pictures, preview: Preview, *, token: str, local: bool) -> FastAPI:
    """An app behind the guard that sends the images and SAM's masks on them."""

    def unusable(_: Request, error: Exception) -> JSONResponse:
        """Names an image as the page does, not where it lies on this machine."""
        return _refusal(422, str(error).replace(f"{pictures.folder}{os.sep}", ""))

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, token=token, local=local)
    app.add_exception_handler(InputError, unusable)
    app.add_exception_handler(Conflict, lambda _, error: _refusal(409, str(error)))
    app.add_exception_handler(RequestValidationError, lambda _, error: _refusal(422, str(error)))
    Chosen = Annotated[Picture, Depends(chosen_picture(pictures))]

    @app.get("/api/images/{key}/pixels")
    def pixels(
        picture: Chosen,
        left: _Side = 0,
        top: _Side = 0,
        right: _Side | None = None,
        bottom: _Side | None = None,
    ) -> Response:
        part = pictures.jpeg(picture, left=left, top=top, right=right, bottom=bottom)
        return Response(part, media_type="image/jpeg")

    @app.post("/api/images/{key}/mask")
    def mask(picture: Chosen, body: BoxesBody) -> PreviewMask | None:
        return preview.mask(picture, body.big_box, body.small_box)

    return app


def chosen_picture(pictures: Pictures) -> Callable[[str], Picture]:
    """What turns the key in an address into its image."""

    def of_key(key: str) -> Picture:
        picture = pictures.by_key.get(key)
        if picture is None or pictures.leads_out(picture):
            raise HTTPException(404, "no such image")
        return picture

    return of_key


def mount_files(app: FastAPI, own: Path) -> None:
    """The page's own files, and those that all pages share under /shared; after every other route."""
    app.mount("/shared", StaticFiles(directory=Path(__file__).parent / "static"))
    app.mount("/", StaticFiles(directory=own, html=True))


def _refusal(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"detail": reason}, status)

"""The page's server: a small API over a review, and the run that it begins with."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
from fastapi import Depends, FastAPI, HTTPException
from rich.console import Console
from rich.progress import track

from ringsam.config import Refinement
from ringsam.data.dataset import read_two_boxes
from ringsam.pages.kept import KeptAnswers
from ringsam.pages.page import create_page, mount_files
from ringsam.pages.pictures import Picture, Pictures, key_of
from ringsam.pages.preview import Preview
from ringsam.pages.serving import listen, serve_page
from ringsam.predict import load, load_of_run
from ringsam.review.proposals import Proposal, Proposer
from ringsam.review.session import Review, VerdictBody
from ringsam.review.verdicts import VerdictFile
from ringsam.runs import RunFolder


def create_app(review: Review, *, token: str, local: bool) -> FastAPI:
    """The page and its API, for those who know the token; a `local` one answers to this machine's own names only."""
    app = create_page(review.preview.pictures, review.preview, token=token, local=local)

    def proposal_of(object_id: int) -> Proposal:
        if object_id not in review.proposals:
            raise HTTPException(404, "no such object")
        return review.proposals[object_id]

    Chosen = Annotated[Proposal, Depends(proposal_of)]

    @app.get("/api/project")
    def project() -> dict[str, Any]:
        return {"file": review.verdicts.path.name, "objects": review.objects()}

    @app.get("/api/objects/{object_id}")
    def shown(proposal: Chosen) -> dict[str, Any]:
        return review.shown(proposal)

    @app.put("/api/objects/{object_id}")
    def judge(proposal: Chosen, body: VerdictBody) -> dict[str, Any]:
        review.judge(proposal, body)
        return review.shown(proposal)

    mount_files(app, Path(__file__).parent / "static")
    return app


def serve(
    run: Path, images: Path, boxes: Path, out: Path, *, refine: Refinement, host: str, port: int
) -> str:
    """Ask for the masks that no earlier start had, then serve the page until it is interrupted; says what the file holds then."""
    with listen(host, port) as listener:
        review = open_review(RunFolder(run), images, boxes, out, refine=refine)
        create = partial(create_app, review)
        serve_page(create, listener, host=host, task="Accept, redraw or reject the masks")
    return f"{out}: {review.summary()}"


def open_review(
    run: RunFolder, images: Path, boxes: Path, out: Path, *, refine: Refinement = "none"
) -> Review:
    """The run's masks for every object, kept beside the file of the verdicts for the next start, and that file.

    Raises InputError for what is no run, and for images, boxes or a file that cannot be used.
    """
    run.read_config()  # a run, else there is nothing to compare
    data = read_two_boxes(boxes, images_in=images)
    verdicts = VerdictFile(out, data)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    zero_shot, adapted = load_of_run(run, run.original).to(device), load(run.path).to(device)
    kept = KeptAnswers(verdicts.path, kind="proposals")
    proposer = Proposer(zero_shot=zero_shot, adapted=adapted, kept=kept, refine=refine)
    console = Console(file=sys.stderr)
    records = track(
        data.with_objects().images,
        "asking for masks",
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    proposals = [proposal for record in records for proposal in proposer.propose(record)]
    kept.forget_unused()
    shown = [Picture(key_of(r.file_name), r.file_name, r.path) for r in data.images]
    pictures = Pictures(data.root, shown)
    preview = Preview(adapted, pictures, refine=refine)
    return Review(proposals, verdicts, data.categories, preview)

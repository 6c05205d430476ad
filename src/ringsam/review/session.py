"""A review under way: a run's proposals, most doubtful first, and what a person says to them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from ringsam.data.boxes import judge_boxes
from ringsam.data.findings import RowProblem
from ringsam.data.masks import Rle, decode_mask, encode_mask
from ringsam.data.records import ImageRecord
from ringsam.errors import InputError
from ringsam.pages.page import Body, BoxNumbers
from ringsam.pages.pictures import key_of
from ringsam.pages.preview import Preview, PreviewMask, preview_of
from ringsam.review.proposals import Proposal
from ringsam.review.verdicts import Row, VerdictFile, revision_of, verdict_row


class VerdictBody(Body):
    """A verdict on the boxes that the page shows; None takes it back."""

    revision: str
    verdict: Literal["accepted", "rejected"] | None
    big_box: BoxNumbers
    small_box: BoxNumbers


class Review:
    """The proposals of a run, and the verdicts on them."""

    def __init__(
        self,
        proposals: Sequence[Proposal],
        verdicts: VerdictFile,
        categories: Mapping[int, str],
        preview: Preview,
    ) -> None:
        ordered = sorted(proposals, key=lambda each: -each.doubt)
        self.proposals = {proposal.object_id: proposal for proposal in ordered}
        self.verdicts = verdicts
        self.categories = categories
        self.preview = preview

    def objects(self) -> list[dict[str, Any]]:
        """All objects, most doubtful first."""
        rows = self.verdicts.rows()
        return [
            {
                "id": each.object_id,
                "name": each.image.file_name,
                "category": self.categories.get(each.category_id, ""),
                "doubt": each.doubt,
                "verdict": rows.get(each.object_id, {}).get("verdict"),
            }
            for each in self.proposals.values()
        ]

    def summary(self) -> str:
        """How many objects have which verdict, and how many were drawn into the file by hand."""
        verdicts = [row["verdict"] for row in self.verdicts.rows().values()]
        counts = (f"{verdicts.count(name)} {name}" for name in ("accepted", "redrawn", "rejected"))
        num_drawn = self.verdicts.num_drawn()
        drawn = f"; {num_drawn} drawn by hand" if num_drawn else ""
        return f"{', '.join(counts)} of {len(self.proposals)} objects{drawn}"

    def shown(self, proposal: Proposal) -> dict[str, Any]:
        """One object with its masks, and the verdict where there is one."""
        row, image = self.verdicts.rows().get(proposal.object_id), proposal.image
        proposed = {"big_box": proposal.big_box, "small_box": proposal.small_box}
        return {
            "id": proposal.object_id,
            "image": key_of(image.file_name),
            "width": image.width,
            "height": image.height,
            "revision": revision_of(row),
            "verdict": row and row["verdict"],
            "boxes": {name: (row or proposed)[name] for name in proposed},
            "proposed": proposed,
            "zero_shot": _preview(proposal.zero_shot, image),
            "adapted": _preview(proposal.adapted, image),
        }

    def judge(self, proposal: Proposal, body: VerdictBody) -> None:
        """Write the verdict; boxes other than those proposed make of an accepted object a redrawn one.

        Raises Conflict, and InputError for boxes that are none or of which SAM makes nothing.
        """
        row = self._row(proposal, body) if body.verdict else None
        self.verdicts.judge(proposal, body.revision, row)

    def _row(self, proposal: Proposal, body: VerdictBody) -> Row:
        if body.verdict == "rejected":
            return verdict_row(proposal, "rejected")
        proposed = [list(proposal.big_box), list(proposal.small_box)]
        redrawn = [body.big_box, body.small_box] != proposed
        passed = self._redrawn(proposal, body) if redrawn else proposal
        row = verdict_row(passed, "redrawn" if redrawn else "accepted")
        if not row["area"]:
            raise InputError("SAM finds nothing in this box; draw it again, or reject the object")
        return row

    def _redrawn(self, proposal: Proposal, body: VerdictBody) -> Proposal:
        """The proposal with the boxes of the page, and the mask that SAM gives for them."""
        drawn = body.model_dump(include={"big_box", "small_box"})
        try:
            judged = judge_boxes(drawn, (proposal.image.height, proposal.image.width))
        except RowProblem as problem:
            raise InputError(f"{problem}; {problem.mend}") from problem
        picture = self.preview.pictures.by_key[key_of(proposal.image.file_name)]
        mask = encode_mask(self.preview.exact_mask(picture, judged.big, judged.small))
        return replace(proposal, big_box=judged.big, small_box=judged.small, adapted=mask)


def _preview(rle: Rle, image: ImageRecord) -> PreviewMask | None:
    mask = decode_mask(rle, (image.height, image.width))
    return preview_of(mask, image.height, image.width)

"""The comparison of recipes, end to end on drawn discs and a tiny SAM."""

import csv
from dataclasses import replace

import pytest
import torch
from disc_data import write_disc_data
from tiny import disc_batch, tiny_sam

from benchmarks.recipes import Arguments, Row, main, markdown_group
from benchmarks.wesam import WesamAdaptation, strong_view
from ringsam.config import MethodConfig
from ringsam.draws import Draws


@pytest.mark.slow
def test_every_row_of_the_comparison_is_made_once_and_then_read(tmp_path, sam_folder):
    for part in ("train", "test"):
        write_disc_data(tmp_path / "root" / "discs" / part, num_images=2)
    arguments = Arguments(
        root=tmp_path / "root",
        recipes=["grabcut", "seed", "wesam", "best", "masks"],
        seeds=[0],
        epochs=1,
        runs=tmp_path / "runs",
        weights=str(sam_folder),
        table=tmp_path / "table.md",
    )
    main(arguments)
    with arguments.table.with_suffix(".csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["recipe"] for row in rows] == [*arguments.recipes, *arguments.recipes]
    assert all(0 <= float(row["adapted"]) <= 1 for row in rows)
    adapted = {row["recipe"]: row["adapted"] for row in rows if row["prompts"] == "box"}
    assert len({adapted[name] for name in ("wesam", "best", "masks")}) > 1
    weights = tmp_path / "runs" / "discs-masks-0" / "adapted" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    main(arguments)
    assert weights.stat().st_mtime_ns == written
    with pytest.raises(SystemExit, match="epochs is 1, not 2"):
        main(replace(arguments, epochs=2))


def test_the_gap_closed_is_the_share_of_what_masks_give():
    def row(recipe: str, seed: int, adapted: float) -> Row:
        return Row("cells", recipe, seed, "box", 0.6, adapted, 1.0)

    rows = [
        row("grabcut", 0, 0.65),
        row("best", 0, 0.7),
        row("best", 1, 0.72),
        row("masks", 0, 0.8),
    ]
    lines = list(markdown_group(rows))
    assert lines[0] == "| cells | box | zero-shot | | 0.6000 | | | |"
    assert lines[2] == "| cells | box | best | 2 | 0.7100 ± 0.0141 | +0.1100 | 55% | 1.0 |"


def test_wesam_learns_its_own_masks_of_another_view():
    batch = disc_batch()
    adaptation = WesamAdaptation(tiny_sam(), MethodConfig())
    output = adaptation.step(batch, Draws(0, 0))
    output.loss.backward()
    moved = [p.grad for p in adaptation.trained_parts().encoder.values() if p.grad is not None]
    assert any(bool((gradient != 0).any()) for gradient in moved)
    assert all(p.grad is None for p in adaptation.sam.model.mask_decoder.parameters())
    truth = replace(batch, gt_masks=~batch.gt_masks)
    assert torch.equal(adaptation.step(truth, Draws(0, 0)).loss, output.loss)


def test_the_strong_view_changes_the_image_and_not_its_padding():
    batch = disc_batch()
    narrow = replace(batch, extents=torch.tensor([[64, 40]] * len(batch.images)))
    view = strong_view(narrow, Draws(0, 0))
    assert (view[..., :40] != batch.images[..., :40]).float().mean() > 0.99
    assert torch.equal(view[..., 40:], batch.images[..., 40:])

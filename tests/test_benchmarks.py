"""The comparison of recipes, end to end on drawn discs and a tiny SAM."""

import csv
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest
import torch
from disc_data import write_disc_data
from safetensors.torch import load_file
from tiny import disc_batch, tiny_sam

from benchmarks import kept_epochs, refined, right_masks, robustness, splits
from benchmarks.ablations import ABLATIONS, CHANGES
from benchmarks.contrast import CellContrast
from benchmarks.recipes import Arguments, TaughtMasks, keep_every_epoch, main
from benchmarks.robustness import MOVES
from benchmarks.shifted import write_set
from benchmarks.tables import put_row
from benchmarks.training_boxes import write_moved
from benchmarks.voters import judge
from benchmarks.wesam import WesamAdaptation, strong_view
from pretrain.pile import coloured_pile
from ringsam.config import Config, MethodConfig, read_recipe, setting_names
from ringsam.data.dataset import read_two_boxes
from ringsam.data.records import decode_masks
from ringsam.draws import Draws
from ringsam.errors import InputError
from ringsam.evaluation.evaluate import evaluate
from ringsam.method.orientation import orient
from ringsam.method.prompts import make_prompts
from ringsam.method.self_training import box_regions
from ringsam.runs import RunFolder
from ringsam.sam.weights import load_sam
from ringsam.training import keeping
from ringsam.training.checkpoint import checkpoints_in
from ringsam.training.run import train


@pytest.mark.slow
def test_every_row_of_the_comparison_is_made_once_and_then_read(tmp_path, sam_folder):
    for part in ("train", "test"):
        write_disc_data(tmp_path / "root" / "discs" / part, num_images=2)
    recipe = (
        tmp_path / "mine.yaml"
    )  # a recipe of one's own; `best` would hold an image out and judge nonsense
    recipe.write_text(
        "method: {prompts: mixed, self_training: 1, shape_vote: 0.5, colour_vote: 0.5}\noptim: {lr_encoder: 1.0e-3}\n"
    )
    arguments = Arguments(
        root=tmp_path / "root",
        recipes=["grabcut", "seed", "wesam", str(recipe), "masks"],
        seeds=[0],
        epochs=3,
        runs=tmp_path / "runs",
        weights=str(sam_folder),
        table=tmp_path / "table.md",
        keep_epochs=True,
    )
    main(arguments)
    assert "--epochs 3 --keep-epochs" in arguments.table.read_text()
    assert len(checkpoints_in(RunFolder(tmp_path / "runs" / "discs-seed-0").checkpoints)) == 3
    with arguments.table.with_suffix(".csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = ["grabcut", "seed", "wesam", "mine", "masks"]
    assert [row["recipe"] for row in rows] == [*names, *names]
    assert all(0 <= float(row["adapted"]) <= 1 for row in rows)
    adapted = {row["recipe"]: row["adapted"] for row in rows if row["prompts"] == "box"}
    assert len(set(adapted.values())) >= 4  # each training went its own way
    for name in ("wesam", "mine", "masks"):
        run = tmp_path / "runs" / f"discs-{name}-0"
        before, after = (load_file(run / f / "model.safetensors") for f in ("original", "adapted"))
        assert any(not torch.equal(weight, after[key]) for key, weight in before.items())
    weights = tmp_path / "runs" / "discs-masks-0" / "adapted" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    main(arguments)
    assert weights.stat().st_mtime_ns == written
    with pytest.raises(InputError, match="epochs: was 3, is 1"):
        main(replace(arguments, epochs=1))


def test_a_row_takes_the_place_of_its_older_one_and_the_others_stay(tmp_path):
    table, head = tmp_path / "table.md", ("| name | n |", "|---|---|")
    for row in ("| a | 1 |", "| b | 2 |", "| a | 3 |"):
        put_row(row, table, head=head)
    assert table.read_text().splitlines() == [*head, "| a | 3 |", "| b | 2 |"]


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


def test_a_contrast_of_cells_sees_the_images_as_the_step_did():
    settings = {"prompts": "box", "self_training": 1.0}
    losses = []
    for turns in (True, False):
        adaptation = CellContrast(
            tiny_sam(), MethodConfig(**settings, random_orientation=turns), seed=1
        )
        batch = disc_batch(num_images=4)
        output = adaptation.step(batch if turns else orient(batch, Draws(3, 0)), Draws(3, 0))
        losses.append(output.terms["cell_contrast"])
    assert torch.equal(*losses)


def test_the_strong_view_changes_the_image_and_not_its_padding():
    batch = disc_batch()
    narrow = replace(batch, extents=torch.tensor([[64, 40]] * len(batch.images)))
    view = strong_view(narrow, Draws(0, 0))
    assert (view[..., :40] != batch.images[..., :40]).float().mean() > 0.99
    assert torch.equal(view[..., 40:], batch.images[..., 40:])


VOTES = {"method.colour_vote", "method.shape_vote", "method.colour_evidence"}
OTHERS = {"method.box_constraint", "method.pixel_contrast"}
DIFFERENCES = {
    "box_prompts": {"method.prompts"},
    "boxes_alone": {"method.self_training", "method.pixel_contrast", *VOTES},
    "cell_contrast": {"method.alpha", "method.pixel_contrast"},
    "colours_alone": {"method.gamma", *VOTES, *OTHERS},
    "teacher_alone": {*VOTES, *OTHERS},
    "without_boxes": {"method.box_constraint"},
    "without_colours": {"method.colour_vote", "method.shape_vote"},
    "without_contrast": {"method.pixel_contrast"},
    "without_distillation": {"method.gamma"},
    "without_evidence": {"method.colour_evidence"},
    "without_shape": {"method.colour_vote", "method.shape_vote"},
    "without_teacher": {"method.colour_vote", "method.shape_vote"},
    "without_turning": {"method.random_orientation"},
}


def differences(one: Config, other: Config) -> set[str]:
    names = setting_names()
    return {name for name in names if attrgetter(name)(one) != attrgetter(name)(other)}


def test_an_ablation_differs_from_best_where_its_name_says_and_nowhere_else():
    best = read_recipe("best")
    assert {
        name: differences(ABLATIONS[name].settings(best), best) for name in CHANGES
    } == DIFFERENCES
    for name in ("seed_box", "seed_box_core"):
        assert differences(ABLATIONS[name].settings(best), Config()) == {"method.prompts"}


def test_a_shifted_set_has_boxes_as_people_draw_them(tmp_path):
    write_set(tmp_path / "set", coloured_pile, num=2, most=2, seed=5)
    data = read_two_boxes(tmp_path / "set" / "annotations.json")
    assert len(data.images) == 2 and data.has_masks
    for record in data.images:
        for big, small, mask in zip(
            record.big_boxes, record.small_boxes, decode_masks(record).numpy(), strict=True
        ):
            (x1, y1, x2, y2), (left, top, right, bottom) = big, small
            rows, columns = mask.nonzero()
            assert x1 <= columns.min() and y1 <= rows.min()
            assert columns.max() < x2 and rows.max() < y2
            core = mask[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))]
            assert core.mean() >= 0.9
    assert not read_two_boxes(tmp_path / "set" / "two_boxes.json").has_masks


def test_photographs_of_one_thing_are_cut_together():
    names = ["b_exp2_num_700.jpg", "a_exp1_num_100.jpg", "a_exp3_num_160.jpg", "a_exp2_num_120.jpg"]
    images = [{"file_name": name, "id": id_} for id_, name in enumerate(names)]
    cut = [[image["id"] for image in thing] for thing in splits.things(images, 50)]
    assert cut == [[1, 3, 2], [0]]  # 100 and 160 by way of 120
    with pytest.raises(ValueError, match=r"lesion\.png has no number"):
        splits.things([{"file_name": "lesion.png", "id": 0}], 50)


def test_over_the_three_folds_each_image_is_judged_by_once_and_never_learned_from(tmp_path):
    write_disc_data(tmp_path / "root" / "discs" / "train", num_images=5)
    judged = []
    for fold in (0, 1, 2):
        out = tmp_path / f"fold_{fold}"
        splits.main(splits.Arguments(tmp_path / "root", out, fold=fold))
        learning, validation = (
            {record.path.name for record in read_two_boxes(out / "discs" / part / name).images}
            for part, name in (("train", "two_boxes.json"), ("test", "annotations.json"))
        )
        assert learning | validation == {f"{i}.png" for i in range(5)}
        assert not learning & validation
        judged += validation
    assert sorted(judged) == [f"{i}.png" for i in range(5)]


def test_every_voter_is_judged(disc_data, sam_folder):
    found = judge(disc_data, load_sam(str(sam_folder)), num_images=2)
    assert {"place", "teacher", "both readings", "thirds"} <= found.keys()
    assert all(0 <= score <= 1 and entropy > 0 for score, entropy in found.values())
    assert found["place"][0] > 0.7  # discs are ellipses


def test_right_masks_are_judged_as_given_and_as_the_voters_leave_them(disc_data):
    arguments = right_masks.Arguments([disc_data], num_images=2, most_objects=2)
    rows = [
        line.split("|")[2:-1]
        for line in right_masks.lines(arguments)
        if disc_data.parent.name in line
    ][1:]
    given = {row[0].strip(): [float(figure) for figure in row[1:]] for row in rows}
    assert list(given) == list(right_masks.MOVED)
    assert given["right"][0] > 0.97 > max(given["drawn too small"][0], given["drawn too large"][0])
    assert min(given["right"]) > 0.8


def test_a_moved_outline_takes_or_gives_a_ring():
    mask = torch.zeros(40, 40, dtype=torch.bool)
    mask[10:30, 10:30] = True
    small, same, large = (right_masks.move_outline(mask, by) for by in (-0.1, 0.0, 0.1))
    assert small.sum() == 16 * 16 and torch.equal(same, mask)
    assert large[20, 8] and not large[20, 7] and (large | mask).sum() == large.sum()
    dot = torch.zeros(9, 9, dtype=torch.bool)
    dot[4, 4] = True
    assert torch.equal(right_masks.move_outline(dot, -0.1), dot)


def test_the_ceiling_is_taught_the_true_masks_whatever_votes_its_settings_name():
    batch = disc_batch()
    given = replace(batch, colour_masks=batch.gt_masks[:, None], gt_masks=None)
    method = MethodConfig(self_training=1.0, shape_vote=0.5, colour_evidence=0.5)
    ceiling = TaughtMasks(tiny_sam(), method)
    taught = ceiling.sam.decode(
        ceiling.sam.encode(batch.images),
        batch.image_index,
        make_prompts(batch, "box", num_points=1, draws=Draws(0, 0)),
    )
    targets = ceiling.targets(taught, given)
    regions = box_regions(batch, grid=targets.shape[-1])
    true = torch.nn.functional.avg_pool2d(batch.gt_masks.float(), 64 // targets.shape[-1])
    ring = ~regions.core & ~regions.outside
    assert torch.equal(targets[ring], true[ring]) and 0 < true[ring].mean() < 1


def test_training_boxes_are_moved_and_the_test_part_is_not(tmp_path):
    data = tmp_path / "discs"
    for part in ("train", "test"):
        write_disc_data(data / part, num_images=2)
    before = read_two_boxes(data / "train").images
    moved = {
        name: write_moved(data, name, tmp_path / "runs")
        for name in (
            "as labelled",
            "every side 10 % out",
            "every side 5 % in",
            "sides moved by up to 20 %",
        )
    }
    for name, folder in moved.items():
        test = (folder / "test" / "two_boxes.json").read_bytes()
        assert test == (data / "test" / "two_boxes.json").read_bytes()
        for old, new in zip(before, read_two_boxes(folder / "train").images, strict=True):
            np.testing.assert_array_equal(new.small_boxes, old.small_boxes)
            assert (new.big_boxes[:, :2] <= new.small_boxes[:, :2]).all()
            assert (new.big_boxes[:, 2:] >= new.small_boxes[:, 2:]).all()
            sides = (old.big_boxes - new.big_boxes) * [1, 1, -1, -1]  # outwards
            extent = np.tile(old.big_boxes[:, 2:] - old.big_boxes[:, :2], 2)
            outwards, jitter = MOVES[name]
            assert (sides <= (outwards + jitter) * extent + 1e-3).all()
            assert (sides != 0).any() == (name != "as labelled")


def test_finished_runs_are_looked_at_again(tmp_path, sam_folder, monkeypatch, capsys):
    root, runs = tmp_path / "root", tmp_path / "runs"
    for part in ("train", "test"):
        write_disc_data(root / "discs" / part, num_images=4)
    method = {"prompts": "box", "alpha": 0.0, "self_training": 1.0, "shape_vote": 1.0}
    config = Config(
        weights=str(sam_folder),
        epochs=3,
        method=method,
        optim={"lr_encoder": 3e-3},
        data={"held_out": 0.5},
    )
    monkeypatch.setattr(keeping, "KEPT", keeping.KEPT)  # put back afterwards
    keep_every_epoch()
    run = train(root / "discs" / "train" / "two_boxes.json", runs / "discs-best-0", config)
    kept = int(capsys.readouterr().out.partition("kept epoch ")[2][0])

    told = list(kept_epochs.lines(kept_epochs.Arguments(root, runs)))
    cells = cells_of(told[-2])
    mious = [float(value) for value in cells[3].split(", ")]
    assert cells[:2] == ["discs", "0"] and int(cells[4]) == kept and len(mious) == 4
    assert float(cells[6]) == pytest.approx(max(mious) - mious[kept], abs=2e-4)
    before = evaluate(run, root / "discs" / "test" / "annotations.json").zero_shot.miou
    assert mious[0] == pytest.approx(before, abs=1e-4)

    monkeypatch.setattr(robustness, "NUM_DRAWN", 1)
    gains = {}
    told = list(robustness.lines(robustness.Arguments(root, runs), gains))
    as_labelled = next(line for line in told if "as labelled" in line).split("|")
    assert float(as_labelled[4]) == pytest.approx(before, abs=1e-4)
    assert float(as_labelled[5]) == pytest.approx(mious[kept], abs=1e-4)
    assert list(gains) == [f"discs, {move}" for move in MOVES]
    assert told[-1].startswith("| discs |")

    shutil.copytree(run, runs / "discs-masks-0")  # a ceiling that is no better: all of the gap
    with ThreadPoolExecutor(1) as pool:
        told = list(refined.lines(refined.Arguments(root, runs), pool))
    figures, closes = (
        {cells[1]: cells[2:] for cells in map(cells_of, part) if cells[:1] == ["discs"]}
        for part in (told[:-3], told[-3:])
    )
    assert float(figures["zero-shot"][0]) == pytest.approx(before, abs=1e-4)
    assert float(figures["best"][0]) == pytest.approx(mious[kept], abs=1e-4)
    asked = evaluate(
        run / "adapted", root / "discs" / "test" / "annotations.json", refine="both_boxes"
    )
    assert float(figures["best"][3]) == pytest.approx(asked.zero_shot.miou, abs=1e-4)
    start, ceiling = (float(figures[name][0]) for name in ("zero-shot", "masks"))
    gained, closed = float(figures["best"][1]) - start, float(closes["best"][1][:-1]) / 100
    assert closes["zero-shot"][0].strip("-") == "0%" and closes["best"][0] == "100%"
    rounded = 1e-4 * (abs(closed) + 1)  # the figures' last digit
    assert closed * (ceiling - start) == pytest.approx(gained, abs=rounded) and abs(gained) > 0.05
    assert closes["best, both ends refined"] == ["100%"] * 4


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]

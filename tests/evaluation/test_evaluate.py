import io
import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from made_runs import make_data, make_run
from PIL import Image
from rich.console import Console
from tiny import tiny_sam

from ringsam import metrics
from ringsam.cli import main
from ringsam.config import Config
from ringsam.data.dataset import decode_masks, read_two_boxes
from ringsam.data.images import read_image
from ringsam.errors import InputError
from ringsam.evaluation.evaluate import evaluate, scorable
from ringsam.evaluation.overlays import make_overlays, outline_path
from ringsam.evaluation.result import Evaluation, read_evaluation, write_evaluation
from ringsam.evaluation.table import print_evaluation
from ringsam.geometry import crop_window
from ringsam.predict import load
from ringsam.runs import RunFolder
from ringsam.sam.weights import save_folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_run(tmp_path_factory.mktemp("runs") / "first", Config())


@pytest.fixture(scope="module")
def evaluation(run: RunFolder, data: Path) -> Evaluation:
    return evaluate(run.path, data, prompts="box+core")


def test_the_json_has_both_models_and_their_difference(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    write_evaluation(evaluation, tmp_path / "out.json")
    content = json.loads((tmp_path / "out.json").read_text())
    for model in ("zero_shot", "adapted", "difference"):
        assert {"miou", "dice", "boundary_iou", "miou_per_image", "failures"} <= content[
            model
        ].keys()
        assert content[model]["intervals"]["miou"][0] <= content[model]["miou"]
    assert (content["prompts"], content["num_images"], content["num_objects"]) == ("box+core", 3, 5)
    assert content["objects"][0].keys() >= {"object_id", "file_name", "zero_shot", "adapted"}
    difference = content["adapted"]["miou"] - content["zero_shot"]["miou"]
    assert content["difference"]["miou"] == pytest.approx(difference)


def test_the_scores_are_those_of_the_runs_own_predictor(
    evaluation: Evaluation, run: RunFolder, data: Path
) -> None:
    record = read_two_boxes(data).images[0]
    masks = load(run.path).predict(
        read_image(record.path), record.big_boxes, record.small_boxes,
        prompts="box+core", object_ids=record.object_ids,
    ).masks  # fmt: skip
    targets = decode_masks(record)
    assert targets is not None
    rows = [row.adapted for row in evaluation.objects if row.image_id == record.image_id]
    assert [row.iou for row in rows if row] == metrics.iou(masks, targets).tolist()
    assert [row.boundary_iou for row in rows if row] == metrics.boundary_iou(
        masks, targets
    ).tolist()


def test_both_models_are_refined_alike_and_the_evaluation_says_so(
    run: RunFolder, data: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run.path, copy)
    refined = evaluate(copy, data, refine="both_boxes")
    assert refined.asked == "prompts box, refined by both_boxes"
    record = read_two_boxes(data).images[0]
    targets = decode_masks(record)
    assert targets is not None
    for weights, name in ((copy, "adapted"), (run.original, "zero_shot")):
        masks = load(weights).predict(
            read_image(record.path), record.big_boxes, record.small_boxes,
            refine="both_boxes", object_ids=record.object_ids,
        ).masks  # fmt: skip
        rows = [getattr(o, name) for o in refined.objects if o.image_id == record.image_id]
        assert [row.iou for row in rows] == metrics.iou(masks, targets).tolist()
    assert read_evaluation(RunFolder(copy).evaluation) == refined


def test_the_command_refines_and_the_report_draws_what_was_refined(
    run: RunFolder, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = RunFolder(tmp_path / "run")
    shutil.copytree(run.path, copy.path)
    assert main(["evaluate", str(copy.path), str(data), "--refine", "both_boxes"]) == 0
    assert "prompts box, refined by both_boxes" in capsys.readouterr().out
    refined = read_evaluation(copy.evaluation)
    record = read_two_boxes(data).images[0]
    rows = [row for row in refined.objects if row.image_id == record.image_id]
    overlays = make_overlays(copy, refined, rows)
    masks = load(copy.path).predict(
        read_image(record.path), record.big_boxes, record.small_boxes, refine="both_boxes"
    ).masks  # fmt: skip
    for place, row in enumerate(rows):
        left, top, right, bottom = crop_window(record.big_boxes[place], height=72, width=96)
        expected = outline_path(masks[place].numpy()[top:bottom, left:right])
        assert overlays[row.image_id, row.object_id].outlines["adapted"] == expected


def test_an_evaluation_written_before_there_was_refinement_is_read(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    content = asdict(evaluation)
    del content["refine"]
    (tmp_path / "old.json").write_text(json.dumps(content))
    assert read_evaluation(tmp_path / "old.json") == evaluation


def test_a_run_keeps_its_evaluation(evaluation: Evaluation, run: RunFolder) -> None:
    assert read_evaluation(run.evaluation) == evaluation


def test_what_cannot_be_kept_or_written_is_told_after_the_table(
    run: RunFolder, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = RunFolder(tmp_path / "run")
    shutil.copytree(run.path, copy.path)
    copy.evaluation.unlink(missing_ok=True)
    copy.evaluation.mkdir()  # which no file replaces
    command = ["evaluate", str(copy.path), str(data), "--json"]
    assert main([*command, str(tmp_path / "out.json")]) == 0
    told = capsys.readouterr()
    assert "mIoU" in told.out and read_evaluation(tmp_path / "out.json").num_objects == 5
    reason = f"{copy.evaluation}: cannot be written: Is a directory; see that its folder exists"
    assert f"warning: the report will not have this evaluation: {reason}" in told.err
    assert main([*command, str(tmp_path / "none" / "out.json")]) == 2
    told = capsys.readouterr()
    assert "mIoU" in told.out and "out.json: cannot be written: No such file" in told.err


def test_objects_without_a_mask_are_counted_not_scored(evaluation: Evaluation) -> None:
    assert (evaluation.num_skipped, evaluation.num_skipped_images) == (1, 0)
    assert 31 not in {row.object_id for row in evaluation.objects}


def test_plain_weights_are_evaluated_as_zero_shot(run: RunFolder, data: Path) -> None:
    found = evaluate(run.original, data)
    assert found.adapted is None
    assert found.difference is None
    assert found == evaluate(str(run.original), data)


def test_the_same_weights_twice_make_no_difference(data: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", Config())
    for file in run.original.iterdir():
        (run.adapted / file.name).write_bytes(file.read_bytes())
    change = evaluate(run.path, data, prompts="ring").difference
    assert change is not None
    assert (change.miou, change.num_better, change.num_worse) == (0, 0, 0)


def test_data_without_masks_is_refused_with_the_mend(tmp_path: Path, run: RunFolder) -> None:
    data = make_data(tmp_path / "data", masks=False)
    with pytest.raises(
        InputError, match=r"needs masks \(`segmentation`\).*`ringsam predict` needs none"
    ):
        evaluate(run.path, data)
    (data / "annotations.json").rename(data / "two_boxes.json")
    make_data(tmp_path / "other")
    (tmp_path / "other" / "annotations.json").rename(data / "annotations.json")
    with pytest.raises(InputError, match=r"try .*annotations\.json"):
        evaluate(run.path, data)


def test_an_image_that_changed_is_refused(tmp_path: Path, run: RunFolder) -> None:
    data = read_two_boxes(make_data(tmp_path / "data"))
    record = scorable(data)[1]
    Image.fromarray(np.zeros((10, 10, 3), dtype=np.uint8)).save(record.path)
    with pytest.raises(InputError, match=r"image_2\.png"):
        evaluate(run.path, data.source)


def test_a_damaged_evaluation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text('{"zero_shot": 1}')
    with pytest.raises(InputError, match="make it anew"):
        read_evaluation(path)


def test_weights_that_are_not_numbers_still_give_an_evaluation(tmp_path: Path, data: Path) -> None:
    sam = tiny_sam()
    with torch.no_grad():
        sam.model.vision_encoder.neck.conv1.weight.fill_(torch.nan)
    save_folder(sam, tmp_path / "broken")
    found = evaluate(tmp_path / "broken", data)
    assert found.zero_shot.miou == 0
    assert found.objects[0].zero_shot.predicted_iou is None
    write_evaluation(found, tmp_path / "out.json")


def test_without_a_terminal_the_table_is_plain_and_whole(evaluation: Evaluation) -> None:
    stream = io.StringIO()
    print_evaluation(evaluation, Console(file=stream, width=20))
    text = stream.getvalue()
    assert "\x1b" not in text
    assert "…" not in text
    assert f"{evaluation.zero_shot.boundary_iou:.4f}" in text
    assert "skipped: 1 objects without a mask" in text

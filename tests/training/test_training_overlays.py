"""The same few objects in a picture an epoch, at no cost to the run but time."""

import errno
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tiny import tiny_sam

from ringsam.config import Config, MethodConfig
from ringsam.data import read_image
from ringsam.data.dataset import read_two_boxes
from ringsam.geometry import crop_window
from ringsam.method.adaptation import Adaptation
from ringsam.predict import Predictor
from ringsam.runs import RunFolder
from ringsam.sam.preprocess import Preprocess
from ringsam.training import overlays, session
from ringsam.training.overlays import GAP_PX, TILE_PX, Overlays, draw_tile, few_objects
from ringsam.training.run import resume, train


def settings(sam, *, epochs: int = 2, **data) -> Config:
    return Config(
        weights=str(sam),
        epochs=epochs,
        method={"prompts": "box", "alpha": 0.0, "self_training": 1.0, "box_constraint": 1.0},
        optim={"lr_encoder": 1e-3, "batch_size": 2},
        data=data,
    )


def adapted(run) -> dict[str, torch.Tensor]:
    return load_file(run / "adapted" / "model.safetensors")


def test_a_sheet_is_drawn_before_training_and_after_each_epoch(disc_data, sam_folder, tmp_path):
    sheets = RunFolder(train(disc_data, tmp_path / "run", settings(sam_folder))).sheets()
    names = [f"epoch=000{epoch}.png" for epoch in range(3)]
    assert [path.name for path in sheets.values()] == names
    width = 6 * (TILE_PX + GAP_PX) - GAP_PX
    pictures = [np.asarray(Image.open(path)) for path in sheets.values()]
    assert all(picture.shape == (TILE_PX, width, 3) for picture in pictures)
    assert (pictures[0] != pictures[2]).any()  # the masks, at a rate that shows
    assert max(path.stat().st_size for path in sheets.values()) < 300_000


@pytest.mark.parametrize("held_out", [0.0, 0.3])
def test_held_out_objects_are_drawn_where_there_are_some(
    disc_data, sam_folder, tmp_path, held_out, monkeypatch
):
    shown = []
    build = session.build_overlays
    monkeypatch.setattr(
        session, "build_overlays", lambda *given: shown.append(build(*given)) or shown[-1]
    )
    config = settings(sam_folder, held_out=held_out)
    session.prepare(RunFolder(tmp_path), read_two_boxes(disc_data), tiny_sam(), config)
    learn, aside = read_two_boxes(disc_data).hold_out(held_out, config.seed)
    expected = aside if held_out else learn
    ids = {record.image_id for record in shown[0].records}
    assert ids == set(expected.images.image_ids.tolist())


def test_the_few_objects_are_spread_over_the_images(disc_data):
    images = read_two_boxes(disc_data).images  # six with three objects each
    first = [record.object_ids.tolist() for record in few_objects(images)]
    assert first == [[1], [4], [7], [10], [13], [16]]
    few = [record.object_ids.tolist() for record in few_objects(images[:2], num=4)]
    assert few == [[1, 2], [4, 5]]
    assert [r.image_id for r in few_objects(images, num=3)] == [1, 3, 6]
    assert [len(r.object_ids) for r in few_objects(images[:1])] == [3]


def test_a_run_is_the_same_to_the_last_bit_without_the_pictures(
    disc_data, sam_folder, tmp_path, monkeypatch
):
    config = settings(sam_folder, held_out=0.3)
    with_pictures = train(disc_data, tmp_path / "with", config)
    monkeypatch.setattr(session, "build_overlays", lambda *_: None)
    without = train(disc_data, tmp_path / "without", config)
    assert RunFolder(with_pictures).sheets() and not RunFolder(without).sheets()
    expected = adapted(without)
    assert all(torch.equal(weight, expected[n]) for n, weight in adapted(with_pictures).items())


def test_drawing_takes_no_random_number_and_leaves_every_module_as_it_was(disc_data, tmp_path):
    sam = tiny_sam()
    drawer = overlays_of(disc_data, sam, tmp_path)
    sam.model.vision_encoder.layers[0].train()
    modes = [module.training for module in sam.modules()]
    state = torch.get_rng_state()
    drawer.on_train_epoch_end(fake_trainer(), None)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in sam.modules()] == modes
    assert all(parameter.grad is None for parameter in sam.parameters())
    assert list(RunFolder(tmp_path).sheets()) == [1]


def test_only_the_first_rank_draws(disc_data, tmp_path):
    drawer, trainer = overlays_of(disc_data, tiny_sam(), tmp_path), fake_trainer(rank=1)
    drawer.on_train_start(trainer, None)
    drawer.on_train_epoch_end(trainer, None)
    assert not RunFolder(tmp_path).sheets()


def test_a_resumed_run_draws_what_an_uninterrupted_one_draws(disc_data, sam_folder, tmp_path):
    folder = RunFolder(train(disc_data, tmp_path / "run", settings(sam_folder)))
    expected = {epoch: path.read_bytes() for epoch, path in folder.sheets().items()}
    sorted(folder.checkpoints.glob("*.ckpt"))[-1].unlink()
    folder.sheet(2).write_bytes(b"of a run that went another way")
    folder.sheet(3).write_bytes(b"of a run that went further")
    resume(folder.path)
    assert {epoch: path.read_bytes() for epoch, path in folder.sheets().items()} == expected


def test_a_full_disk_costs_the_picture_and_not_the_run(
    disc_data, sam_folder, tmp_path, monkeypatch, capsys
):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(overlays.Image.Image, "save", refuse)
    folder = RunFolder(train(disc_data, tmp_path / "run", settings(sam_folder, epochs=1)))
    said = capsys.readouterr().out
    assert f"NOT DRAWN: {folder.sheet(1)}: No space left on device; training goes on" in said
    assert adapted(folder.path) and not list(folder.sheet(0).parent.iterdir())


def test_a_tile_shows_the_mask_that_prediction_gives_and_both_boxes(disc_data, tmp_path):
    sam = tiny_sam()
    predictor = Predictor(sam, preprocess=Preprocess(sam.input_size))
    record = few_objects(read_two_boxes(disc_data).images)[1]
    pixels = read_image(record.path)
    (expected,) = predictor.predict(pixels, record.big_boxes).masks.numpy()
    left, top, right, bottom = window = crop_window(record.big_boxes[0], height=64, width=64)
    _, frame = predictor.preprocess.image(pixels)
    found = overlays.mask_in_window(
        logits_of(sam, pixels, record), frame, window, (right - left, bottom - top)
    )
    np.testing.assert_array_equal(found, expected[top:bottom, left:right])

    nothing = torch.full((16, 16), -1.0)
    tile = np.asarray(draw_tile(pixels, frame, nothing, record, 0)).astype(int)
    scale = TILE_PX / max(right - left, bottom - top)
    for box in (record.big_boxes[0], record.small_boxes[0]):
        x, y = (round((box[axis] - corner) * scale) for axis, corner in ((0, left), (1, top)))
        near = tile[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3)
        assert (near == overlays.BOX).all(axis=1).any()


def logits_of(sam, pixels, record) -> torch.Tensor:
    image, frame = Preprocess(sam.input_size).image(pixels)
    boxes = frame.boxes_to_input(torch.from_numpy(record.big_boxes))
    with torch.no_grad():
        embedding = sam.encode(image[None])
        asked = overlays.Prompts(boxes=boxes)
        return sam.decode(embedding, torch.zeros(1, dtype=torch.long), asked).logits[0, 0]


def overlays_of(data, sam, run) -> Overlays:
    records = few_objects(read_two_boxes(data).images)
    adaptation = Adaptation(sam, MethodConfig())
    return Overlays(RunFolder(run), records, adaptation, Preprocess(sam.input_size))


def fake_trainer(*, rank: int = 0) -> SimpleNamespace:
    precision = SimpleNamespace(forward_context=torch.enable_grad)
    return SimpleNamespace(
        is_global_zero=rank == 0, current_epoch=0, global_step=0, precision_plugin=precision
    )

"""Parts of the model by themselves, ours against others': attention blocks, the decoder, a whole prediction."""

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.figures import SMALL, Figure, Options, batch_of, medians, seed_method
from benchmarks.models import images_of, metas_predictor, metas_twin, randomize, transformers_sam
from benchmarks.schedules import SeedSchedule
from ringsam.batch import Batch
from ringsam.predict import Predictor
from ringsam.sam.model import Prompts, Sam
from ringsam.sam.preprocess import Preprocess, upsample


def attention_time(options: Options) -> Iterator[Figure]:
    """Blocks with folded attention, and with each of transformers' own; forward alone and with the backward pass."""
    tokens = torch.randn(2, 32, 32, 192)
    layers = {}
    for name in ("eager", "sdpa", "ours"):
        kind = "sdpa" if name == "ours" else name
        model = randomize(transformers_sam("vit_ti", image_size=512, attention=kind), seed=0)
        layers[name] = (Sam(model).model if name == "ours" else model).vision_encoder.layers
    for block, where in ((0, "in windows"), (2, "over the image")):
        for train, what in ((False, "forward"), (True, "forward and backward")):
            calls = {
                name: partial(run_layer, layers[name][block], tokens, train=train)
                for name in layers
            }
            took = medians(calls, options.rounds)
            for other in ("eager", "sdpa"):
                ratio = took[other] / took["ours"]
                yield Figure("block", f"{where}, {what}: transformers' {other} / ours", ratio, "x")


def run_layer(layer: torch.nn.Module, tokens: Tensor, *, train: bool) -> None:
    with torch.set_grad_enabled(train):
        made = layer(tokens.clone().requires_grad_(train))
        if train:
            made.square().sum().backward()


def decoder(options: Options) -> Iterator[Figure]:
    """P7: the decoder asked for all objects at once, and object after object as the field does."""
    model = randomize(transformers_sam("small", image_size=512), seed=0)
    field, sam = SeedSchedule(copy.deepcopy(model), seed_method(0)), Sam(model)
    for num, asked in ((8, 2.0), (32, 1.5)):
        batch = batch_of(SMALL._replace(num_images=1, per_image=num))
        prompts = Prompts(boxes=batch.big_boxes)
        with torch.no_grad():
            embedding = sam.encode(batch.images)
        ways = {
            "loop": partial(decode_one_by_one, field, embedding, batch, prompts),
            "ours": partial(decode_together, sam, embedding, batch, prompts),
        }
        took = medians(ways, options.rounds)
        what = f"decoder, {num} objects: one by one / together"
        yield Figure("P7", what, took["loop"] / took["ours"], "x", asked)


@torch.no_grad()
def decode_one_by_one(
    field: SeedSchedule, embedding: Tensor, batch: Batch, prompts: Prompts
) -> None:
    for n in range(batch.num_objects):
        field.decode(field.student, embedding, batch, prompts, n)


@torch.no_grad()
def decode_together(sam: Sam, embedding: Tensor, batch: Batch, prompts: Prompts) -> None:
    upsample(sam.decode(embedding, batch.image_index, prompts).logits, sam.input_size)


def bulk_prediction(options: Options) -> Iterator[Figure]:
    """P13: masks of eight boxes an image, from the image in memory, by Meta's predictor in a loop and by ours."""
    model = randomize(transformers_sam("vit_ti", image_size=512), seed=0)
    theirs = metas_twin(model, "vit_ti")
    meta = metas_predictor(theirs)
    ours = Predictor(Sam(model), preprocess=Preprocess(512))
    (image,) = images_of(num_images=1, image_size=640)
    boxes = batch_of(SMALL._replace(num_images=1, per_image=8)).big_boxes.numpy()

    def loop() -> list[Any]:
        meta.set_image(image)
        return [meta.predict(box=box, multimask_output=False)[0][0] for box in boxes]

    found = ours.predict(image, boxes).masks.numpy()
    agree = float(np.mean(found == np.stack(loop())))
    yield Figure("P13", "pixels on which Meta's predictor and ours agree", 100 * agree, " %", 99.9)
    took = medians({"meta": loop, "ours": partial(ours.predict, image, boxes)}, options.rounds)
    what = "prediction, 8 boxes an image: Meta's predictor / ours"
    yield Figure("P13", what, took["meta"] / took["ours"], "x", 1.3)
    pixels, _ = Preprocess(512).image(image)
    encoders = {
        "meta": partial(encode, theirs.image_encoder, pixels[None]),
        "ours": partial(encode, ours.sam.encode, pixels[None]),
    }
    alone = medians(encoders, options.rounds)
    yield Figure("P13", "of which the encoder: Meta's / ours", alone["meta"] / alone["ours"], "x")
    share = 100 * alone["ours"] / took["ours"]
    yield Figure("P13", "the encoder's part of our time", share, " %")


@torch.inference_mode()
def encode(encoder: Any, images: Tensor) -> None:
    encoder(images)

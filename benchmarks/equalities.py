"""What every speed-up must leave as it was: ours against separate passes, Meta's implementation, transformers' attention."""

import copy
import itertools
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.figures import SMALL, Figure, Options, OurStep, batch_of, seed_method
from benchmarks.models import metas_masks, metas_twin, randomize, transformers_sam
from ringsam.sam.model import Prompts, Sam


def shared_trunk(options: Options) -> Iterator[Figure]:
    """P4: the shared trunk against passes of whole encoders."""
    step = OurStep(SMALL, seed_method(2))
    adaptation, images = step.adaptation, step.batch.images
    whole = Sam(randomize(transformers_sam("vit_ti", image_size=512), seed=0))
    apart = whole.encode(images)
    trunk, reference = adaptation.frozen(step.batch)
    student = adaptation.student(trunk).embedding
    towers = (student, adaptation.teacher(trunk).embedding, reference)
    differences = [float((tower - apart).detach().abs().max()) for tower in towers]
    yield Figure("P4", "shared trunk - separate passes, features", max(differences), "", at_most=0)
    student.square().mean().backward()
    apart.square().mean().backward()
    separate = dict(whole.model.vision_encoder.named_parameters())
    errors = [
        relative_error(p.grad, separate[name].grad)
        for name, p in adaptation.trained_parts().encoder.items()
    ]
    yield Figure("P4", "the same, gradients, relative", max(errors), "", at_most=1e-6)


def metas_parity(options: Options) -> Iterator[Figure]:
    """P5: our encoder and decoder against Meta's."""
    model = randomize(transformers_sam("vit_ti", image_size=512), seed=0)
    meta, ours = metas_twin(model, "vit_ti"), Sam(model)
    batch = batch_of(SMALL._replace(num_images=1))
    with torch.no_grad():
        own, other = ours.encode(batch.images), meta.image_encoder(batch.images)
        decoded = ours.decode(own, batch.image_index, Prompts(boxes=batch.big_boxes))
        masks, _ = metas_masks(meta, own, boxes=batch.big_boxes)
    yield Figure("P5", "encoder - Meta's", float((own - other).abs().max()), "", at_most=2e-5)
    error = float((decoded.logits - masks).abs().max())
    yield Figure("P5", "masks' logits - Meta's", error, "", at_most=1e-5)


def attention(options: Options) -> Iterator[Figure]:
    """P6: folded attention against transformers' own, in windows that the grid fills in part and over the whole image."""
    for dtype, asked in ((torch.float64, 1e-12), (torch.float32, 2e-6)):
        plain = randomize(transformers_sam("small", image_size=256), seed=0).to(dtype)
        folded = Sam(copy.deepcopy(plain)).model
        tokens = torch.randn(
            2, 16, 16, 192, dtype=dtype, generator=torch.Generator().manual_seed(0)
        )
        errors = []
        for block in (0, 1):
            pair = [model.vision_encoder.layers[block] for model in (folded, plain)]
            made = [run_backward(layer, tokens) for layer in pair]
            errors += list(itertools.starmap(relative_error, zip(*made, strict=True)))
        what = f"folded attention - transformers', with gradients, {str(dtype)[6:]}, relative"
        yield Figure("P6", what, max(errors), "", at_most=asked)


def run_backward(layer: torch.nn.Module, tokens: Tensor) -> list[Tensor]:
    """The result, and the gradients of tokens and weights."""
    given = tokens.clone().requires_grad_()
    result: Tensor = layer(given)
    result.square().sum().backward()
    grads = [p.grad for _, p in sorted(layer.named_parameters()) if p.grad is not None]
    assert given.grad is not None
    return [result.detach(), given.grad, *grads]


def relative_error(found: Tensor | None, expected: Tensor | None) -> float:
    assert found is not None and expected is not None
    return float((found - expected).abs().max() / expected.abs().max())

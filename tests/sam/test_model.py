"""SAM cut at its seam and asked for all objects at once is still SAM."""

import copy

import pytest
import torch
from tiny import randomize, tiny_sam
from transformers import SamModel

from ringsam.sam import model
from ringsam.sam.attention import FoldedAttention
from ringsam.sam.model import Prompts

IMAGE_INDEX = torch.tensor([0, 0, 1, 2, 2, 2, 1])


def images(num: int = 3, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(num, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def prompts_of(policy: str, num: int = 7) -> Prompts:
    generator = torch.Generator().manual_seed(1)
    corner = 30 * torch.rand(num, 2, generator=generator)
    size = 5 + 25 * torch.rand(num, 2, generator=generator)
    boxes = torch.cat([corner, corner + size], dim=1)
    points = corner[:, None] + size[:, None] * torch.rand(num, 5, 2, generator=generator)
    labels = torch.tensor([1, 1, 0, 1, 0]).expand(num, -1)
    asked = {"points": (points, labels, None), "boxes": (None, None, boxes)}
    return Prompts(*asked.get(policy, (points, labels, boxes)))


def plain_model(attention: str = "eager") -> SamModel:
    """The same weights in transformers' own model."""
    config = copy.deepcopy(tiny_sam().model.config)
    config._attn_implementation = attention
    return randomize(SamModel(config), seed=0).eval()


@pytest.mark.parametrize("policy", ["points", "boxes", "boxes and points"])
def test_objects_of_many_images_decode_as_each_would_alone(policy):
    sam, prompts = tiny_sam(), prompts_of(policy)
    with torch.no_grad():
        embedding = sam.encode(images())
        together = sam.decode(embedding, IMAGE_INDEX, prompts)
        for n, image in enumerate(IMAGE_INDEX):
            own = embedding[image : image + 1]
            alone = sam.decode(own, torch.tensor([0]), prompts.rows(n, n + 1))
            torch.testing.assert_close(together.logits[n], alone.logits[0], rtol=0, atol=1e-6)
            torch.testing.assert_close(together.iou[n], alone.iou[0], rtol=0, atol=1e-6)
    assert (together.logits[0] - together.logits[1]).abs().max() > 1e-2


@pytest.mark.parametrize("memory_bytes", [1, 500_000, 1_000_000, 1 << 30])
def test_the_memory_given_changes_no_mask(memory_bytes):
    sam, prompts = tiny_sam(), prompts_of("boxes")
    with torch.no_grad():
        embedding = sam.encode(images())
        expected = sam.decode(embedding, IMAGE_INDEX, prompts)
        decoder, calls = sam.model.mask_decoder, []
        decoder.register_forward_pre_hook(lambda *_: calls.append(1))
        found = sam.decode(embedding, IMAGE_INDEX, prompts, memory_bytes=memory_bytes)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert len(calls) == {1: 7, 500_000: 4, 1_000_000: 2, 1 << 30: 1}[memory_bytes]


@pytest.mark.parametrize("memory_bytes", [1, 1 << 30])
def test_the_gradient_passes_the_frozen_decoder_to_every_image(memory_bytes):
    sam = tiny_sam().requires_grad_(False)
    embedding = sam.encode(images()).requires_grad_()
    asked = prompts_of("points", num=6)
    decoded = sam.decode(embedding, IMAGE_INDEX[:6], asked, memory_bytes=memory_bytes)
    decoded.logits.square().mean().backward()
    assert embedding.grad.flatten(1).any(dim=1).all()
    assert all(p.grad is None for p in sam.parameters())


def test_without_objects_there_is_a_graph_but_no_mask():
    sam = tiny_sam().requires_grad_(False)
    embedding = sam.encode(images()).requires_grad_()
    none = Prompts(boxes=torch.zeros(0, 4))
    decoded = sam.decode(embedding, IMAGE_INDEX[:0], none)
    assert decoded.logits.shape == (0, 1, 32, 32) and decoded.iou.shape == (0,)
    (decoded.logits.sum() + decoded.iou.sum()).backward()
    assert embedding.grad is not None and not embedding.grad.any()


@pytest.mark.parametrize("policy", ["points", "boxes", "boxes and points"])
def test_masks_are_those_of_transformers_with_eager_attention(policy):
    sam, plain, prompts = tiny_sam(), plain_model(), prompts_of(policy)
    pixels = images(7)
    asked = {
        "input_points": prompts.points,
        "input_labels": prompts.labels,
        "input_boxes": prompts.boxes,
    }
    given = {k: v[:, None] for k, v in asked.items() if v is not None}
    with torch.no_grad():
        theirs = plain(pixel_values=pixels, multimask_output=False, **given)
        ours = sam.decode(sam.encode(pixels), torch.arange(7), prompts)
    torch.testing.assert_close(ours.logits, theirs.pred_masks[:, 0], rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.iou, theirs.iou_scores[:, 0, 0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("unfreeze_last_k", [0, 1, 2, 3])
def test_trunk_and_tail_are_the_encoder(unfreeze_last_k):
    sam = tiny_sam()
    with torch.no_grad():
        theirs = plain_model().vision_encoder(images()).last_hidden_state
        whole = sam.encode(images())
        sam.split(unfreeze_last_k)
        hidden = sam.encode_trunk(images())
        assert torch.equal(sam.encode_tail(hidden), whole)
        assert torch.equal(sam.encode(images()), whole)
        for checkpointing in (False, True):
            assert torch.equal(sam.tail(checkpointing=checkpointing)(hidden), whole)
    torch.testing.assert_close(whole, theirs, rtol=0, atol=1e-5)
    assert whole.shape == (3, sam.embedding_dim, sam.grid, sam.grid)
    assert len(sam.tail().stages) == (unfreeze_last_k + 1 if unfreeze_last_k else 5)


def test_a_seam_registers_no_weight_twice():
    sam = tiny_sam()
    assert len(sam.state_dict()) == len(sam.model.state_dict())
    assert set(sam.model.state_dict()) == set(plain_model().state_dict())


def eager_attention(folded: FoldedAttention, tokens: torch.Tensor) -> torch.Tensor:
    """SAM's attention as its formula reads, one head and one token at a time."""
    batch, height, width, channels = tokens.shape
    heads, dim = folded.num_heads, channels // folded.num_heads
    query, key, value = folded.qkv(tokens).view(batch, height, width, 3, heads, dim).unbind(dim=3)
    places = [(r, c) for r in range(height) for c in range(width)]
    rows = []
    for r, c in places:
        bias = torch.stack(
            [
                query[:, r, c] @ folded.rel_pos_h[r - i + height - 1]
                + query[:, r, c] @ folded.rel_pos_w[c - j + width - 1]
                for i, j in places
            ],
            dim=-1,
        )  # (b, heads, h * w)
        logits = torch.einsum("bnd,bijnd->bnij", query[:, r, c], key).flatten(2) / dim**0.5
        weights = (logits + bias).softmax(dim=-1)
        rows.append(torch.einsum("bnt,btnd->bnd", weights, value.flatten(1, 2)).flatten(1))
    return folded.proj(torch.stack(rows, dim=1).view(batch, height, width, channels))


def run_backward(attend, attention: torch.nn.Module, tokens: torch.Tensor) -> list[torch.Tensor]:
    """The result, then the gradients of the tokens and of every weight by name."""
    attention.zero_grad()
    tokens = tokens.detach().requires_grad_()
    result = attend(tokens)
    result.pow(3).sum().backward()
    named = sorted(attention.named_parameters())
    return [result.detach(), tokens.grad, *(p.grad.clone() for _, p in named)]


def error(found: list[torch.Tensor], expected: list[torch.Tensor]) -> float:
    pairs = zip(found, expected, strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def test_folded_attention_is_its_formula_with_all_its_gradients():
    folded = tiny_sam().model.vision_encoder.layers[0].attn.double()
    tokens = torch.randn(2, 4, 4, 32, dtype=torch.float64)
    found = run_backward(lambda t: folded(t)[0], folded, tokens)
    expected = run_backward(lambda t: eager_attention(folded, t), folded, tokens)
    assert error(found, expected) <= 1e-12


@pytest.mark.parametrize("block", [0, 2])  # in windows, and over the whole image
def test_folded_attention_is_transformers_attention(block):
    folded = tiny_sam().model.vision_encoder.layers[block].attn
    plain = plain_model().vision_encoder.layers[block].attn
    side = (len(folded.rel_pos_h) + 1) // 2
    tokens = torch.randn(3, side, side, 32, generator=torch.Generator().manual_seed(0))
    found = run_backward(lambda t: folded(t)[0], folded, tokens)
    expected = run_backward(lambda t: plain(t)[0], plain, tokens)
    assert error(found, expected) <= 5e-6


@pytest.mark.parametrize("side", [4, 6, 9])  # one window; windows of 4 that the grid fills in part
def test_windows_without_padded_work_are_transformers_windows(side):
    folded = tiny_sam().model.vision_encoder.layers[0].double()
    plain = plain_model("sdpa").vision_encoder.layers[0].double()  # eager's softmax is of 32 bits
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(2, side, side, 32, dtype=torch.float64, generator=generator)
    with torch.no_grad():
        for layer in (folded, plain):
            layer.attn.qkv.bias.copy_(torch.arange(96.0) / 30 - 1)  # what fills the windows
    found = run_backward(folded, folded, tokens)
    expected = run_backward(plain, plain, tokens)
    assert error(found, expected) <= 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_passes_with_and_without_gradients_agree_to_the_last_bit(dtype):
    sam = tiny_sam()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        with_gradients = sam.encode(images())
        with torch.no_grad():
            without = sam.encode(images())
    assert with_gradients.requires_grad and torch.equal(with_gradients.detach(), without)


def test_a_processors_cache_limits_what_is_decoded_at_once_and_changes_no_mask(monkeypatch):
    sam, prompts = tiny_sam(), prompts_of("boxes")
    embedding = sam.encode(images()).detach().requires_grad_()
    expected = sam.decode(embedding, IMAGE_INDEX, prompts)
    (wanted,) = torch.autograd.grad(expected.logits.square().sum(), embedding)
    monkeypatch.setattr(model, "_CACHE_BYTES", 1)
    calls: list[int] = []
    sam.model.mask_decoder.register_forward_pre_hook(
        lambda part, given: calls.append(len(given[0]))
    )
    found = sam.decode(embedding, IMAGE_INDEX, prompts)
    assert calls == [1, 2, 1, 1]  # two objects each, with the images they are on
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    (grad,) = torch.autograd.grad(found.logits.square().sum(), embedding)
    torch.testing.assert_close(grad, wanted, rtol=1e-5, atol=1e-5)
    assert len(calls) == 4  # nothing was made again: memory is not short

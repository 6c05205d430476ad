"""What is kept of the frozen parts is what they would make again, and never of another image, weight, cut or type."""

from dataclasses import replace

import pytest
import torch
from tiny import disc_batch, tiny_sam

from ringsam.config import MethodConfig
from ringsam.draws import Draws
from ringsam.feature_cache import FeatureCache
from ringsam.method.adaptation import Adaptation
from ringsam.method.frozen import FrozenEncoder
from ringsam.sam import model
from ringsam.sam.attention import FoldedAttention

KEYS = ("first", "second")


class CountingCache(FeatureCache):
    """Counts what was found."""

    def __init__(self) -> None:
        super().__init__(1 << 30)
        self.hits = 0

    def get(self, key):
        found = super().get(key)
        self.hits += found is not None
        return found


def batch_of(keys=KEYS):
    return replace(disc_batch(), image_keys=keys)


def frozen(cache=None, *, unfreeze_last_k=2, seed=0) -> FrozenEncoder:
    sam = tiny_sam(seed=seed)
    sam.split(unfreeze_last_k)
    return FrozenEncoder(sam, cache)


@pytest.mark.parametrize("unfreeze_last_k", [0, 2])
def test_the_second_pass_reads_what_the_first_made(unfreeze_last_k):
    cache, batch = CountingCache(), batch_of()
    encoder = frozen(cache, unfreeze_last_k=unfreeze_last_k)
    first, second = encoder(batch), encoder(batch)
    assert cache.hits == 2
    assert torch.equal(first.trunk, second.trunk)
    assert torch.equal(first.reference, second.reference)
    plain = frozen(unfreeze_last_k=unfreeze_last_k)(batch)
    torch.testing.assert_close(first.trunk, plain.trunk, rtol=0, atol=1e-5)
    torch.testing.assert_close(first.reference, plain.reference, rtol=0, atol=1e-5)


def test_what_is_kept_does_not_depend_on_the_neighbours_in_the_batch():
    batch, cache = batch_of(), CountingCache()
    together = frozen(cache)(batch)
    alone = replace(batch, images=batch.images[1:], extents=batch.extents[1:], image_keys=KEYS[1:])
    assert torch.equal(frozen(CountingCache())(alone).reference[0], together.reference[1])
    assert torch.equal(frozen(cache)(alone).reference[0], together.reference[1])
    assert cache.hits == 1


@pytest.mark.parametrize("change", ["image", "weights", "cut", "dtype"])
def test_whatever_changes_misses(change):
    cache = CountingCache()
    frozen(cache)(batch_of())
    settings = {"weights": {"seed": 1}, "cut": {"unfreeze_last_k": 1}}.get(change, {})
    keys = ("third", "fourth") if change == "image" else KEYS
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=change == "dtype"):
        frozen(cache, **settings)(batch_of(keys))
    assert cache.hits == 0


def test_images_without_a_key_are_not_kept():
    cache = CountingCache()
    frozen(cache)(batch_of(None))
    assert cache.used_bytes == 0


@pytest.mark.slow
@pytest.mark.parametrize("unfreeze_last_k", [0, 2])
def test_fifty_steps_lose_the_same_with_every_speed_up_and_without(unfreeze_last_k, monkeypatch):
    losses = []
    for fast in (True, False):
        if not fast:  # transformers' own attention, in padded windows
            monkeypatch.setattr(model, "fold_attention", lambda plain: plain)
        cache = FeatureCache(1 << 30) if fast else None
        config = MethodConfig(
            entropy_thresh=0.7, unfreeze_last_k=unfreeze_last_k, self_training=1.0
        )
        adaptation = Adaptation(
            tiny_sam(image_size=80), config, cache=cache
        )  # windows of 4 in 10 cells
        folded = isinstance(adaptation.sam.model.vision_encoder.layers[0].attn, FoldedAttention)
        assert folded == fast
        learning = [p for p in adaptation.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(learning, lr=1e-5, fused=True)
        for epoch in range(50):
            batch = replace(disc_batch(image_size=80), image_keys=KEYS)
            loss = adaptation.step(batch, Draws(0, epoch)).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            adaptation.update_teacher()
            losses.append(loss.item())
    torch.testing.assert_close(losses[50:], losses[:50], rtol=1e-5, atol=0)
    assert losses[0] != losses[49]

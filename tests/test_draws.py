"""Draws are a function of (seed, epoch, purpose, id, position) and of nothing else."""

import zlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ringsam.draws import Draws

IDS = torch.tensor([5, 1, 9, 2, 700])
MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mixed(word: int) -> int:
    """Splitmix64's mixer in whole numbers, as its paper has it."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


def test_a_draw_is_the_top_24_bits_of_splitmix64():
    draws, purpose = Draws(seed=-3, epoch=4), "ring"
    key = mixed((-3 * GOLDEN + 4) & MASK)
    key = mixed(key ^ zlib.crc32(purpose.encode()))
    for id in (0, 1, 12345, -1, 2**62):
        row = mixed(((id + key) * GOLDEN) & MASK)
        expected = [(mixed((row + p * GOLDEN) & MASK) >> 40) / 2**24 for p in (1, 2, 3)]
        assert draws.uniform(torch.tensor([id]), 3, purpose)[0].tolist() == expected


@given(st.permutations(list(range(8))), st.integers(1, 8))
@settings(deadline=None, max_examples=40)
def test_order_and_company_do_not_matter(order, num_kept):
    draws = Draws(seed=1, epoch=2)
    whole = draws.uniform(torch.arange(8), 6, "ring")
    some = torch.tensor(order[:num_kept])
    assert torch.equal(draws.uniform(some, 6, "ring"), whole[some])


def test_asking_for_more_numbers_changes_none_of_the_first():
    draws = Draws(seed=1, epoch=2)
    assert torch.equal(draws.uniform(IDS, 40, "ring")[:, :7], draws.uniform(IDS, 7, "ring"))


def test_an_equal_question_has_an_equal_answer():
    torch.manual_seed(0)
    first = Draws(seed=1, epoch=2).uniform(IDS, 10, "ring")
    torch.manual_seed(1)
    assert torch.equal(first, Draws(seed=1, epoch=2).uniform(IDS.int(), 10, "ring"))


def test_other_seeds_epochs_purposes_and_ids_draw_other_numbers():
    settings_of = [
        (seed, epoch, purpose)
        for seed in (0, 1, 2, -1, 2**63)
        for epoch in (0, 1, 2)
        for purpose in ("ring", "core", "anchors")
    ]
    rows = torch.cat([Draws(s, e).uniform(torch.arange(20), 4, p) for s, e, p in settings_of])
    assert len(rows.unique(dim=0)) == len(rows) == 20 * len(settings_of)
    matches = (rows[:, None] == rows[None]).sum() - rows.numel()
    assert matches < 2 * rows.numel() * len(rows) / 2**24 + 10  # as chance has it, at 24 bits


@pytest.mark.parametrize("seed", [0, -1, 2**31, 2**63 - 1, 2**64 + 5, -(2**80)])
@pytest.mark.parametrize("ids", [[0], [-1], [2**63 - 1, -(2**63)], [2**40]])
def test_large_and_negative_seeds_and_ids_work(seed, ids):
    drawn = Draws(seed, epoch=10**6).uniform(torch.tensor(ids), 100, "ring")
    assert drawn.dtype == torch.float32 and drawn.shape == (len(ids), 100)
    assert (drawn >= 0).all() and (drawn < 1).all()
    assert len(drawn.unique()) > 0.99 * drawn.numel()


def test_nothing_asked_is_nothing_drawn():
    draws = Draws(0, 0)
    assert draws.uniform(IDS[:0], 3, "ring").shape == (0, 3)
    assert draws.uniform(IDS, 0, "ring").shape == (5, 0)


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_numbers_are_uniform_for_each_position(seed):
    drawn = Draws(seed, 0).uniform(torch.arange(20_000), 5, "ring")
    assert (drawn >= 0).all() and (drawn < 1).all()
    expected = 20_000 / 50
    for position in drawn.unbind(dim=1):
        found = torch.histc(position, bins=50, min=0, max=1)
        chi_square = ((found - expected).square() / expected).sum()
        assert chi_square < 49 + 5 * (2 * 49) ** 0.5


def test_neighbours_are_not_correlated():
    ids = torch.arange(20_000)
    epochs = [Draws(0, epoch).uniform(ids, 3, "ring") for epoch in (0, 1)]
    here, next_epoch = epochs
    other_seed = Draws(1, 0).uniform(ids, 3, "ring")
    other_purpose = Draws(0, 0).uniform(ids, 3, "core")
    pairs = {
        "next id": (here[:-1, 0], here[1:, 0]),
        "the id after": (here[:-2, 0], here[2:, 0]),
        "next position": (here[:, 0], here[:, 1]),
        "next id's next position": (here[:-1, 0], here[1:, 1]),
        "next epoch": (here[:, 0], next_epoch[:, 0]),
        "next seed": (here[:, 0], other_seed[:, 0]),
        "other purpose": (here[:, 0], other_purpose[:, 0]),
    }
    for name, pair in pairs.items():
        correlation = torch.corrcoef(torch.stack(pair))[0, 1]
        assert correlation.abs() < 5 * 20_000**-0.5, name

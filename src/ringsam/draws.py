"""Randomness as a pure function: no generator state, so a run resumes, and splits over ranks, exactly."""

import zlib
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1, _MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_WORD = 1 << 64


@dataclass(frozen=True)
class Draws:
    """The random numbers of one epoch; each is decided by (seed, epoch, purpose, id, position) alone.

    An object is visited once an epoch, so its id is all that tells its draws from another's: batch
    size, order, number of ranks and kind of device do not matter.
    """

    seed: int
    epoch: int

    def uniform(self, ids: Int[Tensor, " n"], num: int, purpose: str) -> Float[Tensor, "n num"]:
        """Numbers in [0, 1) with 24 random bits, `num` for each id (splitmix64, Steele 2014)."""
        key = _mix_int(self.seed * _GOLDEN + self.epoch)
        key = _mix_int(key ^ zlib.crc32(purpose.encode()))
        rows = _mix((ids.long() + _signed(key)) * _signed(_GOLDEN))
        steps = torch.arange(1, num + 1, device=ids.device) * _signed(_GOLDEN)
        return _shift(_mix(rows[:, None] + steps), 40).float() * 2.0**-24


def _signed(value: int) -> int:
    value %= _WORD
    return value - _WORD if value >= _WORD // 2 else value


def _mix_int(word: int) -> int:
    """`_mix` of a number that no device needs to be asked for."""
    word %= _WORD
    word = (word ^ word >> 30) * _MIX_1 % _WORD
    word = (word ^ word >> 27) * _MIX_2 % _WORD
    return word ^ word >> 31


def _shift(words: Int[Tensor, "..."], bits: int) -> Int[Tensor, "..."]:
    # torch's own shift copies the sign
    return (words >> bits) & ((1 << (64 - bits)) - 1)


def _mix(words: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    words = (words ^ _shift(words, 30)) * _signed(_MIX_1)
    words = (words ^ _shift(words, 27)) * _signed(_MIX_2)
    return words ^ _shift(words, 31)

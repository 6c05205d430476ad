"""Which whole number was seen where, for millions of them."""

import hashlib
from bisect import bisect_left

import numpy as np
import numpy.typing as npt

_FEW = 1 << 14


class Places:
    """Numbers of 64 bits and the place of each, in 12 bytes a number where a dictionary takes 150."""

    def __init__(self) -> None:
        self._few: dict[int, int] = {}
        self._numbers: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)  # sorted
        self._places: npt.NDArray[np.int32] = np.empty(0, dtype=np.int32)

    def find(self, number: int) -> int | None:
        """Where it was seen; None where it was not."""
        if number in self._few:
            return self._few[number]
        numbers = self._numbers.data
        at = bisect_left(numbers, number)
        found = at < len(numbers) and numbers[at] == number
        return int(self._places[at]) if found else None

    def add(self, number: int, place: int) -> None:
        """Remember a number that was not seen yet."""
        self._few[number] = place
        if len(self._few) == _FEW:
            numbers = np.fromiter(self._few, dtype=np.int64)
            order = numbers.argsort()
            at = self._numbers.searchsorted(numbers[order])
            self._numbers = np.insert(self._numbers, at, numbers[order])
            places = np.fromiter(self._few.values(), dtype=np.int32)
            self._places = np.insert(self._places, at, places[order])
            self._few.clear()


def hash_of(text: str) -> int:
    """A number of 64 bits; other texts hardly ever have the same."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)

"""What goes wrong with a file on its way, or is done to it: slips of bytes, of words and of structure, as hypothesis draws them."""

import copy
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

MOST_SLIPS = 4
DEEP = 20_000  # levels
MOST_LEVELS = 1000  # about as many as json reads
NESTED = "lists in lists"  # stands for them
NUMBERS = (0, 1, -1, 127, 255, 256, 65_535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63)
WORDS = (
    "", "0", "-1", "1", "2", "0.5", "1e308", "-1e308", "1e999", "1e-320", "9" * 400, "9" * 4300, "9" * 5000, "NaN", "-Infinity", "true", "null",
    "\\ud800", "\\u0000", "\0", "é", "\u2028", "\u202e", "e\u0301", "٣", "..", "../a.png", "/", "\\", "C:", "x" * 300,
    "%00", "http://[", '"', "'", "<", ">", "&", "&a;", "<a>", "]]>", "[", "]", "{", "}", "[]", "{}", ",", ";", ":", "\t", "\r", "\n\n",
    "- ", "*a", "&a", "!!python/name:os.system", "!!timestamp 2001-99-99", "!!int 0x", "!!binary =", "? ", "|", "<<: *a", "2001-99-99",
    '<!DOCTYPE a [<!ENTITY a "b">]>', "[" * DEEP, '{"a":' * DEEP, "<a>" * DEEP, "- " * DEEP, "((" * 500,
)  # fmt: skip
MERGES = "a0: &a0 {epochs: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 30)
)


_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.sampled_from(NUMBERS) | st.sampled_from(WORDS[:40])
    | st.floats() | st.text(max_size=8) | st.sampled_from([10**400, -(10**4299), "\ud800", 1e308, NESTED])
)  # fmt: skip
VALUES: SearchStrategy[object] = st.recursive(
    _SCALARS,
    lambda part: (
        st.lists(part, max_size=6) | st.dictionaries(st.text(max_size=4), part, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def altered_bytes(draw: DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A seed whose bytes are cut, flipped, doubled, put elsewhere or overwritten by numbers that matter."""
    content = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, MOST_SLIPS))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from((0, 1, 1, 2, 4, 8, 64, 1 << 20))))
        slip = draw(st.sampled_from(_BYTE_SLIPS))
        new: bytes = slip(draw, content[start:end])
        content = b"".join([content[:start], new, content[end:]])
    return content


def _number(draw: DrawFn, part: bytes) -> bytes:
    size, order = draw(st.sampled_from((1, 2, 4, 8))), draw(st.sampled_from(("little", "big")))
    number: int = draw(st.sampled_from(NUMBERS)) % (1 << 8 * size)
    return number.to_bytes(size, "little" if order == "little" else "big")


_BYTE_SLIPS: Sequence[Callable[[DrawFn, bytes], bytes]] = (
    lambda draw, part: b"",
    lambda draw, part: part[:64] * draw(st.sampled_from((2, 3, 300))),
    lambda draw, part: bytes([part[0] ^ 1 << draw(st.integers(0, 7))]) + part[1:] if part else b"",
    lambda draw, part: draw(st.binary(max_size=8)),
    _number,
)


@st.composite
def altered_words(draw: DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A text some of whose words, or of what stands between them, are others."""
    words = re.split(r"([\w.%-]+)", draw(st.sampled_from(seeds)).decode())
    for _ in range(draw(st.integers(1, MOST_SLIPS))):
        words[draw(st.integers(0, len(words) - 1))] = draw(st.sampled_from(WORDS))
    return "".join(words).encode(errors="surrogatepass")


@st.composite
def altered_json(draw: DrawFn, seeds: Sequence[bytes]) -> bytes:
    """JSON some of whose values are others, are gone, or stand under another's key."""
    content = copy.deepcopy(json.loads(draw(st.sampled_from(seeds))))
    for _ in range(draw(st.integers(1, MOST_SLIPS))):
        holders = [part for part in _parts(content) if part]
        if not holders:
            break
        holder = draw(st.sampled_from(holders))
        keys = sorted(holder) if isinstance(holder, dict) else range(len(holder))
        key = draw(st.sampled_from(keys))
        if draw(st.integers(0, 4)):
            holder[key] = draw(VALUES | st.sampled_from(holders).map(copy.deepcopy))
        else:
            del holder[key]
    levels = draw(st.integers(0, MOST_LEVELS))
    nested = "[" * levels + "0" + "]" * levels
    return json.dumps(content).replace(json.dumps(NESTED), nested).encode()


def _parts(value: object) -> list[Any]:
    """The lists and objects of a JSON value, itself included."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, dict | list) else []
    return own + [part for each in inner for part in _parts(each)]


def altered_text(*seeds: bytes) -> SearchStrategy[bytes]:
    return altered_words(seeds) | altered_bytes(seeds) | st.binary(max_size=64)


def altered_document(*seeds: bytes) -> SearchStrategy[bytes]:
    """Of a seed that is JSON."""
    return altered_json(seeds) | altered_json(seeds) | altered_text(*seeds)

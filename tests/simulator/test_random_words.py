"""Random words, hashes and ids against an independent implementation."""

from __future__ import annotations

import uuid

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulator import plain_random
from tests.simulator.fleets import common
from trueup.simulator.random.random_words import hash64, mix64, stream_key, words


@settings(max_examples=60)
@given(seed=st.integers(-(2**70), 2**70), first=st.integers(0, 2**48), count=st.integers(0, 40))
def test_words_equal_those_of_the_independent_philox(seed: int, first: int, count: int) -> None:
    """Any seed, address and length; numpy's early increment included."""
    key = stream_key(seed, "size")
    found = words(key, first, count).tolist()
    assert found == [plain_random.word(key, number) for number in range(first, first + count)]


def test_philox_matches_the_published_vectors() -> None:
    """Known values of Random123 for counter and key of all zeros and of all ones."""
    assert plain_random.philox(0, 0) == (
        0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B,
    )  # fmt: skip
    assert plain_random.philox(2**256 - 1, 2**128 - 1) == (
        0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0,
    )  # fmt: skip


@given(key=st.integers(0, 2**128 - 1), values=st.lists(st.integers(0, 2**64 - 1), max_size=20))
def test_hashes_equal_those_of_the_independent_implementation(key: int, values: list[int]) -> None:
    """Keyed and unkeyed mixing, over all 64-bit values."""
    array = np.array(values, dtype=np.uint64)
    assert mix64(array).tolist() == [plain_random.mix(value) for value in values]
    assert hash64(key, array).tolist() == [plain_random.hash64(key, value) for value in values]


@given(number=st.integers(0, 2**48 - 1))
def test_ids_are_valid_uuids_and_equal_those_of_the_independent_implementation(number: int) -> None:
    """Version 4, the variant of RFC 4122, and back to the number."""
    ids = common().model.ids
    text = ids.text(number)
    assert text == plain_random.uuid_of(ids.round_keys, number)
    assert uuid.UUID(text).version == 4 and uuid.UUID(text).variant == uuid.RFC_4122
    assert ids.number(text) == number


def test_streams_have_different_keys_by_name_and_seed() -> None:
    keys = {stream_key(seed, name) for seed in range(50) for name in ("size", "host", "exit")}
    assert len(keys) == 150

"""Generated content."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.drive.content import BLOCK_BYTES, Content, Generated, content_of, whole

SIZE = 2 * BLOCK_BYTES + 77


@pytest.mark.parametrize("content", [Generated(SIZE, 3), content_of("héllo"), content_of(b"")])
def test_size_and_md5_are_those_of_the_bytes(content: Content) -> None:
    data = whole(content)
    assert len(data) == content.size
    assert hashlib.md5(data, usedforsecurity=False).hexdigest() == content.md5


@given(st.integers(0, SIZE), st.integers(0, SIZE))
def test_a_range_equals_that_range_of_the_whole(one: int, other: int) -> None:
    content = Generated(SIZE, 3)
    start, end = sorted((one, other))
    assert b"".join(content.read(start, end)) == whole(content)[start:end]


def test_another_seed_generates_other_bytes() -> None:
    assert Generated(1000, 1).md5 != Generated(1000, 2).md5 == Generated(1000, 2).md5

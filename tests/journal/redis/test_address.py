from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.errors import JournalError
from rag_pipeline.journal.redis.address import RedisAddress


@pytest.mark.parametrize(
    ("url", "shown", "tls"),
    [
        ("redis://redis", "redis:6379/0", False),
        ("redis://redis:6380/3", "redis:6380/3", False),
        ("rediss://user:secret@redis.example/", "redis.example:6379/0", True),
        ("redis://[::1]:7000/1", "[::1]:7000/1", False),
        ("rediss://redis?ssl_ca_certs=/ca.pem", "redis:6379/0", True),
    ],
)
def test_a_url_says_where_redis_is(url: str, shown: str, tls: bool) -> None:
    address = RedisAddress(url)
    assert (str(address), address.tls) == (shown, tls)


def test_user_and_password_are_decoded() -> None:
    arguments = RedisAddress("redis://us%40er:pa%2Fss%23@redis/2").arguments()
    assert arguments == {"host": "redis", "port": 6379, "db": 2, "username": "us@er", "password": "pa/ss#"}


def test_the_password_is_not_shown() -> None:
    address = RedisAddress("redis://:s3cret@redis")
    assert "s3cret" not in f"{address} {address!r}"
    assert address.without_secret("AUTH s3cret is unknown") == "AUTH *** is unknown"


@pytest.mark.parametrize(
    "url",
    [
        "", "redis", "redis://", "http://redis", "unix:///tmp/redis", "redis://redis:port", "redis://redis:99999",
        "redis://redis/name", "redis://redis/-1", "redis://:s3/cret@redis", "redis://:s3#cret@redis",
        "redis://:s3?cret@redis", "redis://u:12/s3cret@redis", "redis://redis?db=s3cret", "rediss://redis?s3cret=1",
    ],
)  # fmt: skip
def test_a_wrong_url_is_reported_in_one_line_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(JournalError) as caught:
        RedisAddress(url)
    assert "Redis URL" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "cret" not in str(caught.value)
    assert not caught.value.retryable
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.text())
def test_any_text_is_an_address_or_a_journal_error(text: str) -> None:
    for url in (text, f"redis://{text}"):
        try:
            RedisAddress(url)
        except JournalError:
            pass

"""Messages are decoded from any split of the bytes; garbage is an error."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_pipeline.ingest.extract.messages import (
    MAX_FRAME_BYTES,
    Decoder,
    Failed,
    Finished,
    Progressed,
    ProtocolError,
    ReadRequest,
    SectionFound,
    Warned,
    WorkerMessage,
    WorkerReady,
    encode,
)
from rag_pipeline.ingest.extract.section_writer import SECTION_CHARACTERS

messages = st.one_of(
    st.builds(ReadRequest, st.text()),
    st.builds(WorkerReady),
    st.builds(SectionFound, st.text(), st.text()),
    st.builds(Progressed, st.floats(0, 1)),
    st.builds(Warned, st.text()),
    st.builds(Finished, st.text()),
    st.builds(Failed, st.text(), st.text(), st.none() | st.integers(0, 200)),
)


@given(st.lists(messages), st.integers(1, 50))
def test_messages_arrive_as_sent_however_the_bytes_are_split(sent: list[WorkerMessage], step: int) -> None:
    data = b"".join(map(encode, sent))
    decoder = Decoder()
    received = [m for at in range(0, len(data), step) for m in decoder.feed(data[at : at + step])]
    assert received == sent


def test_the_largest_section_fits_a_frame() -> None:
    assert len(encode(SectionFound("place" * 40, "\U0001f600" * SECTION_CHARACTERS))) < MAX_FRAME_BYTES


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'["Exec","x"]', b'["Found","only a place"]', b"\xff", b"3"])
def test_invalid_messages_are_errors(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(Decoder().feed(struct.pack(">I", len(body)) + body))


def test_an_oversized_frame_is_an_error() -> None:
    with pytest.raises(ProtocolError, match="a frame of"):
        list(Decoder().feed(b"\xff\xff\xff\xff"))

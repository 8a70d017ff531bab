# SPDX-License-Identifier: GPL-3.0-or-later
"""The parser of server-sent events: any bytes, split anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch_utils.sse import EventParser, EventTooLong


def parsed(stream: bytes, cuts: list[int]) -> list[bytes]:
    parser = EventParser()
    places = sorted({min(cut, len(stream)) for cut in cuts})
    events: list[bytes] = []
    for start, end in zip([0, *places], [*places, len(stream)], strict=True):
        events += parser.feed(stream[start:end])
    return events


def by_the_book(stream: bytes) -> list[bytes]:
    """The standard's algorithm, word for word, on the whole stream."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events: list[bytes] = []
    data = b""
    for line in text.split(b"\n")[:-1]:
        if not line:
            if data:
                events.append(data[:-1])
            data = b""
        elif not line.startswith(b":"):
            name, colon, value = line.partition(b":")
            if name == b"data":
                data += (value[1:] if colon and value.startswith(b" ") else value) + b"\n"
    return events


LINES = st.sampled_from(
    [b"data: ", b"data:", b"data", b"data: {}", b"data:  x", b": ping", b"event: e", b"id: 1", b"", b"x"]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINE = st.builds(lambda line, value, end: line + value + end, LINES, st.binary(max_size=6), ENDS)
STREAM = st.builds(lambda bom, lines: bom + b"".join(lines), st.sampled_from([b"", b"\xef\xbb\xbf"]), st.lists(LINE))


@given(STREAM, st.lists(st.integers(0, 300)))
def test_any_stream_split_anywhere_gives_what_the_standard_says(stream: bytes, cuts: list[int]):
    assert parsed(stream, cuts) == by_the_book(stream)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_any_bytes_split_anywhere(stream: bytes, cuts: list[int]):
    assert parsed(stream, cuts) == by_the_book(stream)


@given(st.lists(st.text("ab{}\"'é😀 ", min_size=1), min_size=1), st.integers(1, 7))
def test_events_as_taps_send_them_take_the_short_way_to_the_same_result(texts: list[str], size: int):
    stream = [b"data: " + text.encode() + b"\n\n" for text in texts]
    chunks = [b"".join(stream[start : start + size]) for start in range(0, len(stream), size)]
    parser = EventParser()
    assert [event for chunk in chunks for event in parser.feed(chunk)] == [text.encode() for text in texts]


def test_an_event_that_the_end_cuts_off_is_not_given():
    assert parsed(b"data: a\n\ndata: b\n", []) == [b"a"]


def test_comments_are_counted():
    parser = EventParser()
    assert parser.feed(b": ping\n\n: ping\n\n") == []
    assert parser.comments == 2


@pytest.mark.parametrize("chunk", [b"data: " + b"x" * 100, b"data: xxxxxxxxxxxxxxxxxxxxxxxxxxx\n"])
def test_an_endless_event_is_refused_instead_of_kept(chunk: bytes):
    parser = EventParser(limit=1000)
    with pytest.raises(EventTooLong):
        list(map(parser.feed, [chunk] * 100))

# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch.engine.text import ShownPieces, TextStream, shown_tokens
from llama_orch_utils.errors import BadRequest


class Pieces:
    """A vocabulary of whatever pieces a test wants: token n is the n-th."""

    def __init__(self, pieces):
        self.pieces = pieces

    def piece(self, token):
        return self.pieces[token]

    def text(self, token):
        try:
            return self.pieces[token].decode()
        except UnicodeDecodeError:
            return None


def stream_all(pieces, stop=()):
    """What each push gave out, with what the end gave out last; and the stop string."""
    stream = TextStream(Pieces(pieces), tuple(stop))
    parts = [stream.push(token) for token in range(len(pieces))]
    return [*parts, stream.flush()], stream.stopped


def first_stop(text, stop):
    """Character by character: the stop string that is complete first, the longest of those that end together."""
    for end in range(1, len(text) + 1):
        found = [s for s in stop if text[:end].endswith(s)]
        if found:
            longest = max(found, key=len)
            return text[: end - len(longest)], longest
    return text, None


def cut(data, cuts):
    edges = [0, *sorted({c % (len(data) + 1) for c in cuts}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


few_letters = st.text(alphabet="abé€😀\n", max_size=40)
stops = st.lists(st.text(alphabet="abé€😀\n", min_size=1, max_size=5), max_size=4)
cuts = st.lists(st.integers(min_value=0, max_value=200), max_size=60)


@given(few_letters, stops, cuts)
def test_however_it_is_cut_the_text_ends_at_the_first_stop(text, stop, where):
    parts, stopped = stream_all(cut(text.encode(), where), stop)
    assert ("".join(parts), stopped) == first_stop(text, stop)


@given(few_letters, stops, cuts)
def test_no_part_of_a_stop_is_ever_given_out(text, stop, where):
    """At each moment what is out is a beginning of the final text: nothing had to be taken back."""
    parts, _ = stream_all(cut(text.encode(), where), stop)
    final, _ = first_stop(text, stop)
    out = ""
    for part in parts:
        out += part
        assert final.startswith(out)


@given(few_letters, stops, cuts)
def test_what_cannot_be_a_stop_any_more_is_given_out_at_once(text, stop, where):
    stream, pieces = None, cut(text.encode(), where)
    stream = TextStream(Pieces(pieces), tuple(stop))
    out, seen = "", b""
    for token, piece in enumerate(pieces):
        out += stream.push(token)
        seen += piece
        if stream.stopped is None:
            held = seen.decode(errors="ignore")[len(out) :]
            assert held == "" or any(s.startswith(held) for s in stop)


@given(st.binary(max_size=60), cuts)
def test_any_bytes_give_what_one_decoding_would(data, where):
    parts, _ = stream_all(cut(data, where))
    assert "".join(parts) == data.decode(errors="replace")


@given(st.binary(max_size=60), cuts, stops)
def test_any_bytes_with_stops_too(data, where, stop):
    stop = [*stop, "\ufffd"]
    parts, stopped = stream_all(cut(data, where), stop)
    assert ("".join(parts), stopped) == first_stop(data.decode(errors="replace"), stop)


@given(few_letters, cuts)
def test_code_points_are_never_cut(text, where):
    parts, _ = stream_all(cut(text.encode(), where))
    assert "\ufffd" not in "".join(parts)
    assert "".join(parts) == text


def test_a_stop_over_many_tokens_and_code_points():
    euro = "€".encode()
    parts, stopped = stream_all([b"price: ", b"<", euro[:1], euro[1:], b">", b" more"], ["<€>"])
    assert parts == ["price: ", "", "", "", "", "", ""]
    assert stopped == "<€>"


def test_the_beginning_of_a_stop_that_does_not_come_is_given_back():
    assert stream_all([b"a<", b"en", b"d", b"x"], ["<end>"]) == (["a", "", "", "<endx", ""], None)
    assert stream_all([b"a<", b"en"], ["<end>"]) == (["a", "", "<en"], None)


def test_a_stop_inside_the_beginning_of_itself():
    assert stream_all([b"aa", b"ab", b"c"], ["aab"]) == (["", "a", "", ""], "aab")


def test_a_stop_that_begins_another_and_one_within_another():
    assert stream_all([b"x", b"abc"], ["abc", "ab"]) == (["x", "", ""], "ab")
    assert stream_all([b"xabcd"], ["abcd", "bc"]) == (["xa", ""], "bc")
    assert stream_all([b"xa", b"b", b"c"], ["abc", "bc"]) == (["x", "", "", ""], "abc")


def test_after_a_stop_nothing_more_comes():
    stream = TextStream(Pieces([b"one\n", b"two\n"]), ("\n",))
    assert [stream.push(0), stream.push(1), stream.push(0), stream.flush()] == ["one", "", "", ""]
    assert stream.stopped == "\n"


def test_an_unfinished_code_point_at_the_end():
    assert stream_all([b"a\xe2\x82"]) == (["a", "\ufffd"], None)


@pytest.mark.parametrize(
    ("stop", "param"),
    [(("",), "/stop/0"), (("a", ""), "/stop/1"), (("x" * 1025,), "/stop/0"), (("a",) * 65, "/stop")],
)
def test_stop_strings_out_of_bounds_are_refused(stop, param):
    with pytest.raises(BadRequest) as caught:
        TextStream(Pieces([]), stop)
    assert caught.value.param == param


def test_real_tokens(vocabulary):
    text = "Grüße, 世界 😀! stop here"
    stream = TextStream(vocabulary, ("stop",))
    assert "".join(map(stream.push, vocabulary.tokenize(text, special=False))) + stream.flush() == "Grüße, 世界 😀! "
    assert stream.stopped == "stop"


def test_shown_control_tokens_have_their_names_as_text(vocabulary):
    start = vocabulary.tokenize("<|im_start|>", special=True)[0]
    shown = shown_tokens(vocabulary, ("<|im_start|>", "<|nothing of the kind|>", "a"))
    assert shown == {start: "<|im_start|>"}
    plain, named = TextStream(vocabulary), TextStream(ShownPieces(vocabulary, shown), ("_start|>x",))
    tokens = [start, *vocabulary.tokenize("é", special=False), start, *vocabulary.tokenize("x", special=False)]
    assert "".join(map(plain.push, tokens)) + plain.flush() == "éx"
    assert "".join(map(named.push, tokens)) + named.flush() == "<|im_start|>é<|im"
    assert named.stopped == "_start|>x"

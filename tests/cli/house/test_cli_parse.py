# SPDX-License-Identifier: GPL-3.0-or-later
"""The parser: every spelling of an option, and an error in words for everything else."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch.cli.command import Command
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import Printing, argument, flag, option
from llama_orch.cli.output import Output
from llama_orch.cli.page import command_page
from llama_orch.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Record(Printing):
    """Do something.

    More about it.
    """

    first: str = argument("FIRST", help="the first", required=False)
    rest: tuple[str, ...] = argument("REST", help="the others", required=False, many=True)
    name: str | None = option("-n", "--name", value="NAME", help="a name")
    count: int = option("-c", "--count", value="N", kind=int, default=3, bounds=(1, 10), help="how many")
    heat: float | None = option("--heat", value="X", kind=float, help="how hot")
    tag: tuple[str, ...] = option("-t", "--tag", value="TAG", many=True, help="a tag")
    way: str | None = option("--way", value="WAY", choices=("up", "down"), help="where")
    force: bool = flag("-f", "--force", help="all the same")


def run(_options: Record, _out: Output) -> None:
    """Nothing."""


COMMAND = Command("thing", Record, run)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {}),
        (["-n", "x"], {"name": "x"}),
        (["-nx"], {"name": "x"}),
        (["--name=x=y"], {"name": "x=y"}),
        (["--name="], {"name": ""}),
        (["--name", "-"], {"name": "-"}),
        (["-fn", "x", "a"], {"force": True, "name": "x", "first": "a"}),
        (["-fc7"], {"force": True, "count": 7}),
        (["--heat", "-1.5"], {"heat": -1.5}),
        (["-t", "a", "--tag=b"], {"tag": ("a", "b")}),
        (["a", "--force", "b", "c"], {"first": "a", "rest": ("b", "c"), "force": True}),
        (["--", "--name", "-f"], {"first": "--name", "rest": ("-f",)}),
        (["-", "--way", "up"], {"first": "-", "way": "up"}),
        (["--json", "-q", "--color", "never"], {"json": True, "quiet": True, "color": "never"}),
    ],
)
def test_words_become_the_record(words: list[str], expected: dict[str, object]) -> None:
    assert parse(COMMAND, words) == Record(**expected)


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["a", "--force", "-h"], ["--name", "x", "--help", "--nonsense"]])
def test_help_is_asked_for(words: list[str]) -> None:
    assert parse(COMMAND, words) is None


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--nam", "x"], "orch thing has no option '--nam'; did you mean '--name'?", "orch thing --name"),
        (["--zzz"], "orch thing has no option '--zzz'", "orch thing --help"),
        (["-fz"], "orch thing has no option '-z' (in '-fz')", "orch thing --help"),
        (["--force=1"], "--force takes no value", "orch thing --help"),
        (["--name"], "--name needs a value: --name NAME", "orch thing --help"),
        (["--name", "--json"], "--name needs a value: --name NAME", "orch thing --help"),
        (["-c", "x"], "-c needs a whole number from 1 to 10, not 'x'", "orch thing --help"),
        (["--count=11"], "--count needs a whole number from 1 to 10, not '11'", "orch thing --help"),
        (["--heat", "nan"], "--heat needs a number, not 'nan'", "orch thing --help"),
        (["--way", "don"], "--way is one of up, down, not 'don'; did you mean 'down'?", "orch thing --help"),
        (["-fh"], "-h stands alone, not in '-fh'", "orch thing --help"),
    ],
)
def test_what_is_not_understood_is_told(words: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(COMMAND, words)
    assert (raised.value.message, raised.value.hint) == (message, hint)


text = st.text(max_size=12)


@given(
    name=text, count=st.integers(1, 10), heat=st.floats(allow_nan=False), tags=st.lists(text, max_size=3),
    arguments=st.lists(text, max_size=4), force=st.booleans(),
)  # fmt: skip
def test_every_value_survives(
    name: str, count: int, heat: float, tags: list[str], arguments: list[str], force: bool
) -> None:
    words = [f"--name={name}", f"-c{count}", f"--heat={heat!r}", *(f"--tag={each}" for each in tags)]
    words += ["--force"] * force + ["--", *arguments]
    first, *rest = arguments or [None]
    record = parse(COMMAND, words)
    assert record == Record(
        name=name, count=count, heat=heat, tag=tuple(tags), force=force, first=first, rest=tuple(rest)
    )


@given(
    st.lists(
        st.one_of(st.text(max_size=8), st.sampled_from(["--name", "-c", "-f", "--", "-", "--way=up", "-t"])), max_size=8
    )
)
def test_any_words_give_a_record_or_a_usage_error(words: list[str]) -> None:
    try:
        record = parse(COMMAND, words)
    except UsageError as raised:
        told = (raised.message, raised.hint)
    else:
        assert record is None or 1 <= record.count <= 10
        return
    assert told[0]
    assert str(told[1]).startswith("orch thing")


def test_the_page_is_made_from_the_declarations() -> None:
    page = command_page(COMMAND)
    assert page.startswith("Do something.\n\nMore about it.\n\nUsage: orch thing [FIRST] [REST...] [options]\n")
    assert "  -c, --count N    how many (default 3)" in page
    assert "  -t, --tag TAG    a tag (may be given again)" in page

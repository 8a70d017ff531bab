# SPDX-License-Identifier: GPL-3.0-or-later
"""The applet API: manifests, prompts, files, discovery through real installed metadata, runs and their errors."""

from __future__ import annotations

import contextlib
import importlib
import os
from pathlib import Path
from typing import Any

import pytest
from applet_package import MANIFEST, package, points
from hypothesis import given as cases
from hypothesis import strategies as st

from llama_orch_utils import AppletError, BadRequest, BudgetExceeded, Client, UnsupportedByTarget, applets
from llama_orch_utils.applets import Files
from llama_orch_utils.applets.manifest import parse
from llama_orch_utils.applets.prompts import Prompts
from llama_orch_utils.testing import FakeTap

GOOD = MANIFEST.format(id="good", summary="Works")


def loaded(folder: Path, monkeypatch: pytest.MonkeyPatch, **given: Any) -> Any:
    """An applet of the test's own, imported under a name that no other test has."""
    module = f"applet_{folder.name.replace('-', '_')}"
    package(folder, module=module, **given)
    monkeypatch.syspath_prepend(str(folder))
    return importlib.import_module(module).shout


def test_a_manifest_on_paper() -> None:
    found = parse(
        GOOD
        + """
[permissions]
files = {read = ["inputs"], write = ["outputs"]}
network = ["target"]
[needs]
capabilities = ["chat", "schema"]
context = 2048
[cost]
most = "0.05 EUR"
[brand]
slots = ["name", "legal"]
"""
    )
    assert (found.id, found.reads, found.writes, found.network) == ("good", ("inputs",), ("outputs",), ("target",))
    assert (found.capabilities, found.context, found.most_cost) == (("chat", "schema"), 2048, 50_000)
    assert found.brand_slots == ("name", "legal")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD + "colour = 1\n", "line 6: colour is a field that nobody knows"),
        (GOOD + "[permissions]\ncamera = true\n", "line 7: permissions.camera is a permission that nobody knows"),
        (GOOD + "[permissions]\nfiles = {read = [], run = []}\n", "line 7: permissions.files.run is a permission"),
        (GOOD + '[permissions]\nnetwork = ["internet"]\n', "line 7: permissions.network cannot hold 'internet'"),
        (GOOD + '[needs]\ncapabilities = ["magic"]\n', "line 7: needs.capabilities cannot hold 'magic'"),
        (GOOD + '[cost]\nmost = "little"\n', "line 7: cost.most is no amount of money"),
        (GOOD.replace('"1.0"', "1"), "line 2: version has a value of the wrong kind"),
        (GOOD.replace("api = 1", "api = 2"), "is for version 2 of the applet API, this is 1"),
        (GOOD.replace('id = "good"', 'id = "Not good"'), "line 1: id cannot be 'Not good'"),
        ("\n".join(GOOD.splitlines()[1:]), "lacks id"),
        (GOOD + "= x", "is no TOML"),
    ],
)
def test_what_a_manifest_may_not_say(text: str, told: str) -> None:
    with pytest.raises(AppletError) as caught:
        parse(text)
    assert told in caught.value.message
    assert caught.value.hint


@cases(st.text(max_size=200))
def test_any_text_is_a_manifest_or_an_error(text: str) -> None:
    with contextlib.suppress(AppletError):
        assert parse(text).id


def test_prompts_take_values_as_they_are() -> None:
    found = Prompts({"p": "<!-- for people -->\nHello {name}, {{braces}} {brand.name}"}, {"p": ["name"]}, ())
    assert found["p"].fill({"name": "{other}", "brand": {"name": "Acme"}}) == "Hello {other}, {braces} Acme"
    with pytest.raises(AppletError, match=r"nothing was given for \{name\}"):
        found["p"].fill({"brand": {}})


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({"p": "one\n{other}"}, "prompts/p.md, line 2: nobody fills in {other}"),
        ({"p": "{name!r}"}, "is no placeholder"),
        ({"p": "{name.__class__}"}, "is no placeholder"),
        ({"p": "{name"}, "prompts/p.md: "),
        ({}, "names a prompt p, and there is no prompts/p.md"),
    ],
)
def test_prompts_are_checked_when_they_are_loaded(texts: dict[str, str], told: str) -> None:
    with pytest.raises(AppletError) as caught:
        Prompts(texts, {"p": ["name"]}, ())
    assert told in caught.value.message


def test_files_of_the_declared_folders_and_no_others(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (inside / "a.txt").write_bytes(b"\xef\xbb\xbfhi")
    (inside / "wide.txt").write_bytes("hi".encode("utf-16"))
    (inside / "odd.txt").write_bytes(b"one\n\xff")
    (outside / "secret").write_text("secret")
    (inside / "link").symlink_to(outside / "secret")
    (inside / "folder").symlink_to(outside)
    files = Files([inside])
    assert files.text("a.txt") == files.text("wide.txt") == "hi"
    assert [each.name for each in files.documents()] == ["a.txt", "odd.txt", "wide.txt"]
    for path in ("link", "folder/secret", "../out/secret", str(outside / "secret"), "/etc/passwd"):
        with pytest.raises(AppletError, match="outside the folders"):
            files.read(path)
    with pytest.raises(AppletError, match=r"not UTF-8 \(line 2\)"):
        files.text("odd.txt")
    with pytest.raises(AppletError, match="larger than"):
        files.read("a.txt", most=1)
    with pytest.raises(AppletError, match="may not write"):
        files.write("new.txt", "x")
    writing = Files([], [outside])
    assert writing.write("deep/new.txt", "x").read_text() == "x"
    (outside / "away").symlink_to(inside)
    with pytest.raises(AppletError, match="outside the folders"):
        writing.write("away/new.txt", "x")
    assert not list(outside.rglob(".orch-*"))


def test_broken_applets_are_values_and_the_good_one_works(
    tap: FakeTap, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(tmp_path, monkeypatch)
    (tmp_path / "sdk_test_exits.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "sdk_test_bad_manifest").mkdir()
    (tmp_path / "sdk_test_bad_manifest/__init__.py").write_text(
        "from llama_orch_utils.applets import applet\n@applet(__package__)\ndef x(a, b): ...\n"
    )
    (tmp_path / "sdk_test_bad_manifest/applet.toml").write_text(GOOD + "colour = 1\n")
    broken = {"missing": "sdk_no_such_module:x", "exits": "sdk_test_exits:x", "nothing": "json:dumps"}
    broken |= {"bad": "sdk_test_bad_manifest:x"}
    points(tmp_path, broken, "some-applets")
    found = {item.name: item for item in applets.discover()}
    assert set(applets.names()) == set(found) >= {"shout", *broken}
    for name in broken:
        error = found[name].error
        assert isinstance(error, AppletError)
        assert name in str(error)
        assert error.hint == "pip install --upgrade some-applets"
    assert "line 6: colour is a field" in str(found["bad"].error)
    good = applets.load("shout")
    assert good is not None
    assert good.applet is not None
    made = good.applet.invoke({"text": "hi", "times": 1}, client=client)
    assert made.output["words"] == "HI"
    assert applets.load("never-heard-of") is None


def test_an_instance_in_and_an_instance_out(
    tap: FakeTap, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shout = loaded(tmp_path, monkeypatch)
    seen: list[tuple[int, int, str]] = []
    said = shout(shout.input(text="hi"), client=client, progress=lambda *each: seen.append(each))
    assert type(said) is shout.output
    assert (said.words, seen) == ("HI HI", [(1, 2, "halfway")])
    assert shout({"text": "hi", "does": "ask"}, client=client).words == "Hello from the fake tap."
    assert tap.asked[-1].messages[-1]["content"] == "Say hi {louder}."


@pytest.mark.parametrize(
    ("given", "pointer"),
    [({}, "/text"), ({"text": "x", "times": "1.5"}, "/times"), ({"text": "x", "does": "c"}, "/does")],
)
def test_unfit_inputs_are_named(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], pointer: str
) -> None:
    shout = loaded(tmp_path, monkeypatch)
    with pytest.raises(BadRequest) as caught:
        shout(given, client=client)
    assert (caught.value.param, caught.value.hint) == (pointer, "orch shout --help")


def test_a_target_without_what_it_needs_is_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orch_home: Path
) -> None:
    needs = MANIFEST.format(id="shout", summary="x")
    needs += '[needs]\ncapabilities = ["chat", "vision"]\n\n'
    shout = loaded(tmp_path, monkeypatch, manifest=needs, prompts={})
    with FakeTap(capabilities=("tools",)) as tap, Client(tap.url) as client:
        with pytest.raises(UnsupportedByTarget) as caught:
            shout({"text": "x", "does": "ask"}, client=client)
        assert caught.value.capability == "vision"
        assert not [each for each in tap.asked if each.path.endswith("completions")]


def test_what_a_run_may_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orch_home: Path) -> None:
    """The manifest's limit and the caller's both hold; what was spent is known."""
    cheap = MANIFEST.format(id="shout", summary="x")
    cheap += '[cost]\nmost = "0.000001 EUR"\n[prompts]\nshout = ["asked"]\n'
    shout = loaded(tmp_path, monkeypatch, manifest=cheap, prompts={"shout": "{asked.text}"})
    pricing = {"input": 10_000_000, "output": 20_000_000}
    with FakeTap(pricing=pricing) as tap, Client(tap.url) as client:
        with pytest.raises(BudgetExceeded, match=r"of cost\.most are left"):
            shout({"text": "x", "does": "ask"}, client=client)
        with pytest.raises(BudgetExceeded, match="of max_cost are left"):
            shout({"text": "x", "does": "ask"}, client=client, max_cost=1)
        free = importlib.import_module(shout.function.__module__).shout
        assert free.invoke({"text": "x"}, client=client).cost == 0


def test_import_costs_nothing_until_an_applet_is_loaded() -> None:
    import subprocess
    import sys

    code = "import sys, llama_orch_utils.applets as a; a.names(); print('pydantic' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "False\n"

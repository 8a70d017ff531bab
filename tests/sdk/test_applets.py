# SPDX-License-Identifier: GPL-3.0-or-later
"""The applet API: records, discovery through real installed metadata, inputs and output."""

from __future__ import annotations

from pathlib import Path

import pytest

from llama_orch_utils import AppletError, BadRequest, Client, applets
from llama_orch_utils.applets import Applet, Input
from llama_orch_utils.testing import FakeTap

MODULE = """
import llama_orch_utils.applets as a
def run(client, inputs):
    with client.stream(inputs["text"]) as stream:
        yield from stream
good = a.Applet("good", "Works.", run, inputs=(a.Input("text", "What to read.", "document", required=True),))
misnamed = a.Applet("other", "Has another name.", run)
nothing = 5
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sdk_test_applets.py").write_text(MODULE)
    (tmp_path / "sdk_test_exits.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "sdk_test_old.py").write_text(
        "import llama_orch_utils.applets as a\napplet = a.Applet('old', '', print, api_version=2)\n"
    )
    folder = tmp_path / "some_applets-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: some-applets\nVersion: 1.0\n")
    points = {
        "good": "sdk_test_applets:good",
        "misnamed": "sdk_test_applets:misnamed",
        "nothing": "sdk_test_applets:nothing",
        "missing": "sdk_no_such_module:applet",
        "exits": "sdk_test_exits:applet",
        "old": "sdk_test_old:applet",
    }
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (folder / "entry_points.txt").write_text(f"[{applets.GROUP}]\n{lines}")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("installed")
def test_broken_applets_are_values_and_the_good_one_works(tap: FakeTap, client: Client):
    found = {item.name: item for item in applets.discover()}
    assert set(applets.names()) == set(found) >= {"good", "misnamed", "nothing", "missing", "exits", "old"}
    for name in ("misnamed", "nothing", "missing", "exits", "old"):
        error = found[name].error
        assert isinstance(error, AppletError)
        assert found[name].applet is None
        assert name in str(error)
        assert error.hint == "pip install --upgrade some-applets"
    good = applets.load("good")
    assert good is not None
    assert good.applet is not None
    assert good.package == "some-applets"
    inputs = applets.read_inputs(good.applet, {"text": "a long text"})
    assert "".join(applets.pieces(good.applet, client, inputs)) == "Hello from the fake tap."
    assert applets.load("never-heard-of") is None


ALL = Applet(
    "all",
    "Every kind.",
    lambda client, inputs: repr(dict(inputs)),
    inputs=(
        Input("text", "", "text", required=True),
        Input("count", "", "integer", default=3),
        Input("ratio", "", "number"),
        Input("loud", "", "flag"),
        Input("style", "", "choice", default="a", choices=("a", "b")),
    ),
)


def test_inputs_are_converted_and_filled_in():
    assert applets.read_inputs(ALL, {"text": "x"}) == {
        "text": "x",
        "count": 3,
        "ratio": None,
        "loud": False,
        "style": "a",
    }
    given = {"text": "x", "count": "5", "ratio": "0.5", "loud": "yes", "style": "b"}
    assert applets.read_inputs(ALL, given) == {"text": "x", "count": 5, "ratio": 0.5, "loud": True, "style": "b"}


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({}, "/text"),
        ({"text": "x", "count": "1.5"}, "/count"),
        ({"text": "x", "ratio": "nan"}, "/ratio"),
        ({"text": "x", "loud": "perhaps"}, "/loud"),
        ({"text": "x", "style": "c"}, "/style"),
        ({"text": "x", "other": "1"}, "/other"),
    ],
)
def test_unfit_inputs_are_named(given: dict[str, str], pointer: str):
    with pytest.raises(BadRequest) as caught:
        applets.read_inputs(ALL, given)
    assert caught.value.param == pointer
    assert caught.value.hint == "orch all --help"


def test_an_applet_that_fails_is_an_applet_error_and_errors_of_the_tree_pass(tap: FakeTap, client: Client):
    broken = Applet("broken", "", lambda client, inputs: [1 / 0])  # type: ignore[list-item]
    with pytest.raises(AppletError, match="applet broken failed: ZeroDivisionError"):
        list(applets.pieces(broken, client, {}))
    tap.error(400, "no")
    asks = Applet("asks", "", lambda client, inputs: client.chat("hi").text)
    with pytest.raises(BadRequest, match="no"):
        list(applets.pieces(asks, client, {}))


@pytest.mark.parametrize("name", ["", "Big", "a b", "-x", "../x"])
def test_names_that_cannot_be_commands(name: str):
    with pytest.raises(AppletError):
        Applet(name, "", lambda client, inputs: "")


def test_odd_records_are_refused():
    with pytest.raises(AppletError, match="twice"):
        Applet("x", "", lambda client, inputs: "", inputs=(Input("a", ""), Input("a", "")))
    with pytest.raises(AppletError, match="choices"):
        Input("a", "", "choice")

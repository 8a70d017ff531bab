# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that goes wrong between here and a hub: gone on from where it can be, said where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub
from pull_home import Home, longer, sha256

from llama_orch_utils.errors import (
    ConfigError,
    ModelNotFound,
    NotAllowed,
    NotAuthorised,
    OrchError,
    RateLimited,
    TargetError,
    TargetTimeout,
    TargetUnreachable,
)

REPO = "o/M-GGUF"
SIZE = 3_000_000


@pytest.fixture
def data(tiny_gguf: Path) -> bytes:
    return longer(tiny_gguf.read_bytes(), SIZE)


@pytest.fixture
def model(hub: Hub, data: bytes) -> str:
    """A model of three megabytes at the hub."""
    hub.add(REPO, {"M-Q8_0.gguf": data})
    return f"hf://{REPO}"


# What another attempt mends: nothing that came is fetched again.


@pytest.mark.parametrize(
    "fault",
    [
        {"where": "storage", "cut": True, "after": 1_000_000, "times": 2},
        {"where": "storage", "cut": True, "after": 0},
        {"where": "storage", "stall": 20, "after": 500_000},
        {"where": "storage", "status": 503, "times": 2},
        {"where": "storage", "status": 403},
        {"where": "resolve", "status": 502},
        {"where": "resolve", "status": 429, "header": {"Retry-After": "0"}},
        {"where": "api", "status": 500},
        {"where": "api", "status": 504, "times": 2},
    ],
    ids=str,
)
def test_gone_on_from(home: Home, hub: Hub, model: str, data: bytes, fault: dict[str, Any]) -> None:
    hub.fail(**fault)
    pulled = home.pull(model, stall=0.3)
    assert pulled.model.path.read_bytes() == data
    assert pulled.fetched == SIZE
    # What was under way when a connection was cut may have been lost between the two; never more.
    asked = [each.start for each in hub.requests("storage") if each.status in {200, 206}]
    assert asked == sorted(asked)


def test_progress_starts_the_count_of_attempts_anew(home: Home, hub: Hub, model: str, data: bytes) -> None:
    hub.fail("storage", cut=True, after=200_000, times=10)
    assert home.pull(model, retries=1).model.digest == sha256(data)
    assert len(home.troubles) == 10


def test_a_server_that_cannot_send_ranges_sends_all_again(home: Home, hub: Hub, model: str, data: bytes) -> None:
    hub.ranges = False
    hub.fail("storage", cut=True, after=1_000_000)
    assert home.pull(model).model.digest == sha256(data)
    assert any("cannot be gone on with at this server" in each for each in home.troubles)


# What no attempt mends.


@pytest.mark.parametrize(
    ("fault", "kind", "code", "words"),
    [
        ({"where": "storage", "cut": True, "after": 0, "times": 9}, TargetUnreachable, "target_unreachable", "was cut"),
        ({"where": "storage", "stall": 20, "times": 9}, TargetTimeout, "timeout", "sent nothing for 0.2 s"),
        ({"where": "storage", "status": 503, "times": 9}, TargetError, "server_failed", "answers 503 for M-Q8_0.gguf"),
        ({"where": "api", "status": 500, "times": 9}, TargetError, "server_failed", "answers 500"),
        ({"where": "api", "status": 429, "header": {"Retry-After": "0"}, "times": 9}, RateLimited, None, "no more"),
        ({"where": "api", "body": b"<html>"}, TargetError, "server_failed", "it is no JSON"),
        ({"where": "api", "body": b"[]"}, TargetError, "server_failed", "it is no object"),
        ({"where": "api", "body": b'{"sha": "../../x", "siblings": []}'}, TargetError, "server_failed", "no commit"),
        ({"where": "storage", "length": SIZE - 1}, TargetError, "wrong_length", f"{SIZE - 1} bytes at the server"),
        ({"where": "storage", "length": SIZE + 9}, TargetError, "wrong_length", f"where {SIZE} bytes belong"),
        ({"where": "storage", "flip": True, "after": 2_000_000}, TargetError, "wrong_digest", "not what they must be"),
        ({"where": "storage", "header": {"Content-Encoding": "gzip"}}, TargetError, "server_failed", "sent as gzip"),
        ({"where": "resolve", "status": 404, "header": {"X-Error-Code": "EntryNotFound"}}, ModelNotFound, None, "file"),
        ({"where": "storage", "location": "http://127.0.0.1:1/x", "times": 9}, TargetUnreachable, None, "be reached"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_said_in_words(
    home: Home, hub: Hub, model: str, fault: dict[str, Any], kind: type[OrchError], code: str | None, words: str
) -> None:
    hub.fail(**fault)
    with pytest.raises(kind, match=words) as caught:
        home.pull(model, stall=0.2)
    assert code is None or caught.value.code == code
    assert caught.value.hint
    home.assert_nothing_installed()


def test_after_a_wrong_digest_nothing_is_kept_and_the_next_is_right(
    home: Home, hub: Hub, model: str, data: bytes
) -> None:
    hub.fail("storage", flip=True, after=10)
    with pytest.raises(TargetError, match="nothing of it was kept"):
        home.pull(model)
    assert home.begun == []
    assert home.pull(model).model.digest == sha256(data)


def test_after_an_unreachable_server_what_came_is_kept(home: Home, hub: Hub, model: str) -> None:
    hub.fail("storage", cut=True, after=1_000_000)
    hub.fail("storage", status=503, times=9)
    with pytest.raises(TargetError):
        home.pull(model)
    (begun,) = home.begun
    assert begun.stat().st_size == 1_000_000
    hub.faults.clear()
    assert home.pull(model).fetched == SIZE - 1_000_000


def test_a_hub_that_is_not_there(home: Home, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(TargetUnreachable, match="cannot be reached") as caught:
        home.pull(model, retries=0)
    assert "--offline" in (caught.value.hint or "")
    with pytest.raises(TargetUnreachable, match="nothing may be fetched"):
        home.pull(model, offline=True)


@pytest.mark.parametrize(
    "header",
    [
        {"Content-Range": "bytes 5-6/7"},
        {"Content-Range": "bytes " + "9" * 5000 + "-1/2"},
        {"Content-Range": "nonsense"},
        {"ETag": "W/x"},
    ],
    ids=lambda value: str(value)[:30],
)
def test_ranges_that_lie(home: Home, hub: Hub, model: str, data: bytes, header: dict[str, str]) -> None:
    hub.fail("storage", cut=True, after=1_000_000)
    hub.fail("storage", header=header, times=9)
    if "ETag" in header:
        assert home.pull(model).model.digest == sha256(data)
        return
    with pytest.raises(TargetError, match="a range that was not asked for"):
        home.pull(model)
    home.assert_nothing_installed()


@pytest.mark.parametrize("value", ["-1", "9" * 5000, "\xb2", "abc"], ids=["negative", "long", "superscript", "word"])
def test_numbers_that_are_none(home: Home, hub: Hub, model: str, value: str) -> None:
    hub.fail("storage", status=503, header={"Retry-After": value}, times=9)
    with pytest.raises(TargetError, match="answers 503"):
        home.pull(model)


def test_a_long_wait_for_a_listing_is_told_and_not_sat_out(home: Home, hub: Hub, model: str) -> None:
    hub.fail("api", status=429, header={"Retry-After": "300"}, times=9)
    with pytest.raises(RateLimited) as caught:
        home.pull(model)
    assert caught.value.retry_after == 300
    assert "in 300 s" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [("ALL_PROXY", "gopher://x", "proxy"), ("SSL_CERT_FILE", "/no/such/file.pem", "certificates")],
)
def test_an_environment_that_cannot_be_used(
    home: Home, model: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=said):
        home.pull(model)


# Who may have what.


def test_a_repository_that_is_not_there(home: Home, hub: Hub) -> None:
    with pytest.raises(ModelNotFound, match="no repository o/none that you may see"):
        home.plan("hf://o/none")
    hub.add("o/x", {})
    with pytest.raises(ModelNotFound, match="no such revision"):
        home.plan("hf://o/x@nope")


def test_a_gated_one_says_where_to_accept_its_licence(home: Home, hub: Hub, data: bytes) -> None:
    hub.add(REPO, {"M-Q8_0.gguf": data}, gated=True, accepted={"hf_good"})
    with pytest.raises(NotAuthorised, match="is gated: its licence has to be accepted") as caught:
        home.pull(f"hf://{REPO}")
    assert f"accept it at {hub.endpoint}/{REPO}" in (caught.value.hint or "")
    assert home.plan(f"hf://{REPO}").gated
    home.token("hf_other")
    with pytest.raises(NotAllowed, match="your account has not been let in") as refused:
        home.pull(f"hf://{REPO}")
    assert f"{hub.endpoint}/{REPO}" in (refused.value.hint or "")
    home.token("hf_good")
    assert home.pull(f"hf://{REPO}").model.digest == sha256(data)


def test_a_private_one_and_a_token_that_nobody_knows(home: Home, hub: Hub, data: bytes) -> None:
    hub.add(REPO, {"M-Q8_0.gguf": data}, token="hf_mine")
    with pytest.raises(ModelNotFound, match="that you may see"):
        home.pull(f"hf://{REPO}")
    home.token("wrong")
    with pytest.raises(NotAuthorised, match="does not know the token"):
        home.pull(f"hf://{REPO}")
    home.token("hf_mine")
    assert home.pull(f"hf://{REPO}").model.digest == sha256(data)


def test_the_token_that_hf_auth_login_wrote(home: Home, hub: Hub, data: bytes) -> None:
    hub.add(REPO, {"M-Q8_0.gguf": data}, token="hf_stored")
    home.hf.mkdir(exist_ok=True)
    (home.hf / "token").write_text("hf_stored\n")
    assert home.pull(f"hf://{REPO}").model.digest == sha256(data)


# What turns out to be no model.


@pytest.mark.parametrize("content", [b"<html>not found</html>" * 100, b"GGUF" + bytes(2000)], ids=["page", "zeros"])
def test_what_is_no_gguf_is_not_installed(home: Home, hub: Hub, content: bytes) -> None:
    hub.add(REPO, {"M-Q8_0.gguf": content})
    with pytest.raises(TargetError, match=r"M-Q8_0.gguf .*nothing was installed") as caught:
        home.pull(f"hf://{REPO}")
    assert caught.value.code == "model_invalid"
    assert ".part" not in caught.value.message
    assert home.begun == []
    home.assert_nothing_installed()


def test_a_projector_is_no_model_and_a_model_no_projector(
    home: Home, hub: Hub, split_model: dict[str, bytes], data: bytes
) -> None:
    hub.add("o/a", {"A-Q8_0.gguf": split_model["mmproj-F16.gguf"]})
    with pytest.raises(TargetError, match="is a projector, not a model"):
        home.pull("hf://o/a")
    hub.add("o/b", {"B-Q8_0.gguf": data, "mmproj-F16.gguf": data + b"2"})
    with pytest.raises(TargetError, match="is no projector"):
        home.pull("hf://o/b")
    home.assert_nothing_installed()


def test_parts_in_the_wrong_order_are_not_installed(home: Home, hub: Hub, split_model: dict[str, bytes]) -> None:
    one, two = (split_model[f"V-Q8_0-0000{n}-of-00002.gguf"] for n in (1, 2))
    hub.add("o/V", {"V-Q8_0-00001-of-00002.gguf": two, "V-Q8_0-00002-of-00002.gguf": one})
    with pytest.raises(TargetError, match="another part than its name says"):
        home.pull("hf://o/V")
    hub.add("o/W", {"W-Q8_0.gguf": one})
    with pytest.raises(TargetError, match="is one of 2 parts, and there are 1"):
        home.pull("hf://o/W")
    home.assert_nothing_installed()


# Disks.


def test_a_disk_without_room_is_told_before_anything_is_fetched(home: Home, hub: Hub, data: bytes) -> None:
    import json

    hub.add(REPO, {"M-Q8_0.gguf": data})
    entry = {"rfilename": "M-Q8_0.gguf", "size": 10**17, "lfs": {"sha256": sha256(data)}}
    told = {"sha": hub.repos[REPO].commit, "siblings": [entry]}
    hub.fail("api", body=json.dumps(told).encode())
    with pytest.raises(OrchError, match=r"100000000.0 GB have to be written and .* are free") as caught:
        home.pull(f"hf://{REPO}")
    assert caught.value.code == "disk_full"
    assert hub.bytes_sent() == 0
    home.assert_nothing_installed()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Files at addresses and on this machine: versions, digests, redirects, and where a token does not go."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from hub_server import Hub, address_of
from pull_home import Home, longer, sha256

from llama_orch_utils.errors import BadRequest, ModelNotFound, NotAllowed, OrchError, TargetError, TargetUnreachable

SIZE = 2_500_000
CANARY = "hf_canary_5f1c"


@pytest.fixture
def data(tiny_gguf: Path) -> bytes:
    return longer(tiny_gguf.read_bytes(), SIZE)


@pytest.fixture
def address(hub: Hub, data: bytes) -> str:
    hub.plain["/files/Model-Q8_0.gguf"] = data
    return address_of(hub, "/files/Model-Q8_0.gguf")


def test_a_file_at_an_address(home: Home, hub: Hub, address: str, data: bytes) -> None:
    pulled = home.pull(f"{address}?signature=secret", name="mine")
    assert pulled.model.digest == sha256(data)
    assert pulled.model.source == address
    sent = hub.bytes_sent()
    assert home.pull(f"{address}?signature=secret", name="mine").present
    assert hub.bytes_sent() == sent
    for path in (home.folder / "data").rglob("*"):
        assert not path.is_file() or b"signature=secret" not in path.read_bytes()


def test_it_goes_on_while_the_version_is_the_same(home: Home, hub: Hub, address: str, data: bytes) -> None:
    hub.fail("plain", times=0)
    hub.faults.clear()
    hub.on_bytes = lambda _: None
    hub.fail("plain", header={})  # the probe
    hub.fail("plain", cut=True, after=1_000_000)
    hub.fail("plain", status=503, times=9)
    with pytest.raises(TargetError):
        home.pull(address)
    hub.faults.clear()
    assert home.pull(address).fetched == SIZE - 1_000_000
    assert hub.requests("plain")[-1].headers["if-range"] == '"1"'
    assert home.store.resolve("model-q8_0").digest == sha256(data)


@pytest.mark.parametrize("between", ["processes", "attempts"])
def test_a_file_that_changed_is_fetched_from_the_start(home: Home, hub: Hub, address: str, between: str) -> None:
    new = longer(hub.plain["/files/Model-Q8_0.gguf"][:2_000_000], 2_200_000, 7)

    def change() -> None:
        hub.plain["/files/Model-Q8_0.gguf"] = new
        hub.plain_headers = {"ETag": '"2"'}

    hub.fail("plain", header={})
    hub.fail("plain", cut=True, after=1_000_000)
    if between == "processes":
        hub.fail("plain", status=503, times=9)
        with pytest.raises(TargetError):
            home.pull(address)
        hub.faults.clear()
        change()
    else:
        seen = [0]

        def count(number: int) -> None:
            seen[0] += number
            if seen[0] >= 1_000_000:
                change()

        hub.on_bytes = count
    assert home.pull(address).model.digest == sha256(new)
    assert any("changed at the server" in each for each in home.troubles)


def test_one_that_changes_all_the_time_is_given_up(home: Home, hub: Hub, address: str) -> None:
    versions = iter(range(100))
    hub.on_bytes = lambda _: hub.plain_headers.update(ETag=f'"{next(versions)}"')
    hub.fail("plain", header={})
    hub.fail("plain", cut=True, after=60_000, times=90)
    with pytest.raises(TargetError, match="begun anew 5 times") as caught:
        home.pull(address)
    assert caught.value.code == "file_changed"
    home.assert_nothing_installed()


def test_without_any_version_it_begins_anew(home: Home, hub: Hub, address: str, data: bytes) -> None:
    hub.plain_headers = {}
    hub.fail("plain", header={})
    hub.fail("plain", cut=True, after=1_000_000)
    hub.fail("plain", status=503, times=9)
    with pytest.raises(TargetError):
        home.pull(address)
    hub.faults.clear()
    assert home.pull(address).fetched == SIZE


@pytest.mark.parametrize("form", ["repr-digest", "digest", "x-linked-etag"])
def test_a_digest_that_the_server_states_is_checked(home: Home, hub: Hub, address: str, form: str) -> None:
    wrong = hashlib.sha256(b"other").digest()
    text = base64.b64encode(wrong).decode()
    values = {"repr-digest": f"sha-256=:{text}:", "digest": f"SHA-256={text}", "x-linked-etag": f'"{wrong.hex()}"'}
    hub.plain_headers = {form: values[form]}
    with pytest.raises(TargetError, match="not what they must be"):
        home.pull(address)
    home.assert_nothing_installed()


def test_a_digest_that_the_user_states(home: Home, address: str, data: bytes) -> None:
    with pytest.raises(TargetError, match="not what they must be"):
        home.pull(address, sha256="0" * 64)
    assert home.pull(address, sha256=sha256(data)).model.digest == sha256(data)
    assert home.pull(f"{address}#sha256={sha256(data)}").present
    with pytest.raises(BadRequest, match="64 hexadecimal digits"):
        home.pull(address, sha256="abc")


def test_a_split_model_at_an_address_with_a_projector(home: Home, hub: Hub, split_model: dict[str, bytes]) -> None:
    hub.plain |= {f"/{name}": data for name, data in split_model.items()}
    first = address_of(hub, "/V-Q8_0-00001-of-00002.gguf")
    pulled = home.pull(first, projector=address_of(hub, "/mmproj-F16.gguf"))
    assert pulled.model.id == "v-q8_0"
    assert len(pulled.model.parts) == 2
    assert pulled.model.projector is not None
    del hub.plain["/V-Q8_0-00002-of-00002.gguf"]
    with pytest.raises(ModelNotFound, match=r"has no V-Q8_0-00002-of-00002.gguf"):
        home.pull(first, name="again")


def test_a_server_without_head(home: Home, hub: Hub, address: str, data: bytes) -> None:
    hub.fail("plain", status=405)
    assert home.pull(address).model.digest == sha256(data)


def test_a_body_without_a_length_is_refused_unless_its_digest_is_known(home: Home, hub: Hub, address: str) -> None:
    with pytest.raises(ModelNotFound, match=r"has no Other.gguf"):
        home.pull(address_of(hub, "/files/Other.gguf"))


# Redirects


def test_an_address_leads_to_no_host_that_the_user_did_not_name(
    home: Home, hub: Hub, address: str, data: bytes
) -> None:
    hub.add("o/x", {"x.gguf": data})
    elsewhere = hub.signed(sha256(data))
    hub.fail("plain", location=elsewhere)
    with pytest.raises(NotAllowed, match=r"sends us on to 127.0.0.1, a host that you did not name") as caught:
        home.pull(address)
    assert caught.value.code == "redirect_refused"
    assert caught.value.hint == "if you trust it, name it: --allow-host 127.0.0.1"
    assert hub.requests("storage") == []
    hub.fail("plain", location=elsewhere, times=9)
    assert home.pull(address, hosts=frozenset({"127.0.0.1"})).model.digest == sha256(data)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://[::1", "//evil.example/x", ""])
def test_redirects_that_lead_nowhere(home: Home, hub: Hub, address: str, location: str) -> None:
    hub.faults.clear()
    if not location:
        hub.fail("plain", status=302, times=9)
    else:
        hub.fail("plain", location=location, times=9)
    with pytest.raises(OrchError):
        home.pull(address)
    home.assert_nothing_installed()


def test_redirects_in_circles_end(home: Home, hub: Hub, address: str) -> None:
    hub.fail("plain", location="/files/Model-Q8_0.gguf", times=99)
    with pytest.raises(TargetError, match="in circles"):
        home.pull(address)


def test_the_token_goes_to_the_hub_and_to_nobody_else(home: Home, hub: Hub, data: bytes, address: str) -> None:
    hub.add("o/M", {"M-Q8_0.gguf": data}, token=CANARY)
    home.token(CANARY)
    home.pull("hf://o/M")
    home.pull(address, name="plain")
    asked = {where: hub.requests(where) for where in ("api", "resolve", "storage", "plain")}
    assert all(each.headers.get("authorization") == f"Bearer {CANARY}" for each in asked["api"] + asked["resolve"])
    for each in asked["storage"] + asked["plain"]:
        assert CANARY not in str(each.headers)
        assert CANARY not in each.path
    for path in home.folder.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes()


def test_the_hub_may_not_lead_the_token_or_the_listing_elsewhere(home: Home, hub: Hub, data: bytes) -> None:
    hub.add("o/M", {"M-Q8_0.gguf": data})
    home.token(CANARY)
    hub.fail("api", location=f"{hub.storage}/api/models/o/M")
    with pytest.raises(NotAllowed, match="a host that you did not name"):
        home.pull("hf://o/M")
    assert hub.requests("storage") == []


# Files of this machine


def test_a_file_is_copied(home: Home, tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "Own Model-Q4_0.gguf"
    file.write_bytes(data)
    pulled = home.pull(file.as_uri())
    assert pulled.model.id == "own-model-q4_0"
    assert pulled.fetched == 0
    file.unlink()
    assert home.store.resolve("own-model-q4_0").path.read_bytes() == data


def test_a_file_that_is_not_there_or_not_right(home: Home, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelNotFound):
        home.pull((tmp_path / "none.gguf").as_uri())
    file = tmp_path / "a.gguf"
    file.write_bytes(data)
    with pytest.raises(TargetError, match="is not what it must be"):
        home.pull(file.as_uri(), sha256="0" * 64)
    file.write_bytes(b"no gguf" * 100)
    with pytest.raises(TargetError, match="nothing was installed"):
        home.pull(file.as_uri())
    home.assert_nothing_installed()


def test_a_host_that_does_not_exist(home: Home) -> None:
    with pytest.raises(TargetUnreachable, match="cannot be reached"):
        home.pull("https://no-such-host.invalid/m.gguf", retries=0)

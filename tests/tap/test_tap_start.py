# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway refuses to start with, in words and before anything is loaded."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from llama_orch.models.stored_model import demo_model
from llama_orch.tap.process import serve
from llama_orch.tap.settings import Ready, ServeOptions
from llama_orch_utils.errors import ConfigError
from llama_orch_utils.secrets.secret import Secret

KEY = Secret("canary-of-the-key-0123456789", "environment", "ORCH_API_KEY")


def refused(**options: object) -> ConfigError:
    def announce(ready: Ready) -> None:
        raise AssertionError(f"it serves: {ready.url}")

    with pytest.raises(ConfigError) as error:
        serve(ServeOptions(models=(demo_model(),), port=0, **options), announce)  # type: ignore[arg-type]
    assert KEY.value not in str(error.value)
    assert KEY.value not in repr(error.value)
    return error.value


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_public_address_needs_a_key(host: str, orch_home: Path) -> None:
    error = refused(host=host)
    assert error.key == "host"
    assert "ORCH_API_KEY" in (error.hint or "")
    assert refused(host=host, no_auth=True, key=KEY).key == "no_auth"
    assert refused(host=host, no_auth=True).key == "no_auth"
    assert refused(host=host, key=Secret("", "environment")).key == "host"


@pytest.mark.parametrize("value", ["two words", "line\nbreak", "schlüssel", "\x00"])
def test_keys_that_no_header_carries(value: str, orch_home: Path) -> None:
    assert refused(key=Secret(value, "environment")).key == "ORCH_API_KEY"


def test_addresses_that_are_none(orch_home: Path) -> None:
    assert refused(host="no.such.host.invalid", key=KEY).key == "host"
    assert refused(host="", key=KEY).hint == "orch serve --host 127.0.0.1"
    elsewhere = refused(host="192.0.2.1", key=KEY)  # it is no port's fault
    assert (elsewhere.key, elsewhere.hint) == ("host", "orch serve --host 127.0.0.1")


def test_a_port_that_is_taken(orch_home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigError) as error:
            serve(ServeOptions(models=(demo_model(),), port=other.getsockname()[1]), lambda ready: None)
    assert error.value.key == "port"


def test_certificates_that_are_none(tmp_path: Path, orch_home: Path) -> None:
    some = tmp_path / "some.pem"
    some.write_text("not a certificate")
    assert refused(cert=some).key == "cert"
    assert refused(key_file=some).key == "cert"
    assert refused(cert=some, key_file=tmp_path / "none.pem").file == str(tmp_path / "none.pem")
    assert refused(cert=some, key_file=some).file == str(some)


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/path", "https://", "https://a b", ""])
def test_origins_that_are_none(origin: str, orch_home: Path) -> None:
    assert refused(origins=(origin,)).key == "allow_origin"


def test_any_origin_needs_a_key(orch_home: Path) -> None:
    error = refused(origins=("*",), no_auth=True)
    assert error.key == "allow_origin"
    assert "orch serve --allow-origin" in (error.hint or "")


@pytest.mark.parametrize("name", ["two words", "tap.example:8080", "https://tap.example", "", ".", "::1", "tap\n", "*"])
def test_hosts_that_are_none(name: str, orch_home: Path) -> None:
    error = refused(hosts=(name,))
    assert error.key == "allow_host"
    assert "orch serve --allow-host" in (error.hint or "")

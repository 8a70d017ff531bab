# SPDX-License-Identifier: GPL-3.0-or-later
"""Which target is meant, and what a project file may not do."""

from __future__ import annotations

from pathlib import Path

import pytest
from sdk_canary import CANARY

from llama_orch_utils import Client, ConfigError, NotAuthorised, config, secrets
from llama_orch_utils.targets import Target, base_url
from llama_orch_utils.targets.choose import choose
from llama_orch_utils.testing import FakeTap


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "orch.toml"


def chosen(name: str | None = None) -> Target:
    return choose(name, config.load())


def test_local_unless_something_was_chosen(monkeypatch: pytest.MonkeyPatch):
    assert chosen().is_local
    config.set_value("targets.acme.url", "https://tap.acme.example")
    config.set_value("targets.acme.model", "big")
    config.set_value("target", "private:acme")
    assert chosen() == Target("private:acme", "https://tap.acme.example/v1", "big")
    assert chosen("acme").url == "https://tap.acme.example/v1"
    assert chosen("local").is_local
    monkeypatch.setenv("ORCH_TARGET", "local")
    assert chosen().is_local


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://tap.example", "https://tap.example/v1"),
        ("https://tap.example/", "https://tap.example/v1"),
        ("https://tap.example/api/v1/", "https://tap.example/api/v1"),
        ("HTTP://Tap.Example:8080/v1", "http://tap.example:8080/v1"),
        ("http://[::1]:80/v1", "http://[::1]/v1"),
    ],
)
def test_bases(url: str, base: str):
    assert base_url(url) == base


@pytest.mark.parametrize(
    "url", ["https://x/v1?key=1", "https://x/#a", "https://u:p@x/v1", "https://x:y/v1", "https://x/ü"]
)
def test_addresses_that_are_refused(url: str):
    with pytest.raises(ConfigError) as caught:
        Client(url)
    assert caught.value.hint


def test_public_needs_an_address(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigError) as caught:
        Client("public")
    assert caught.value.hint == "orch target add public https://…"
    monkeypatch.setenv("ORCH_PUBLIC_URL", "https://tap.example")
    assert chosen("public").url == "https://tap.example/v1"
    monkeypatch.delenv("ORCH_PUBLIC_URL")
    config.set_value("targets.public.url", "https://other.example")
    assert chosen("public").url == "https://other.example/v1"


def test_an_unknown_target_is_an_error_with_a_suggestion():
    config.set_value("targets.acme.url", "https://a")
    with pytest.raises(ConfigError, match="did you mean acme") as caught:
        Client("private:acne")
    assert caught.value.hint == "orch target add acne https://…"


def test_the_configured_model_is_meant_for_the_chosen_target_and_the_environments_for_any(
    monkeypatch: pytest.MonkeyPatch,
):
    config.set_value("model", "mine.gguf")
    assert chosen().model == "mine.gguf"
    assert chosen("https://tap.example").model is None
    monkeypatch.setenv("ORCH_MODEL", "theirs")
    assert chosen("https://tap.example").model == "theirs"


def test_a_project_file_cannot_switch_to_a_target_that_was_not_chosen(project: Path):
    config.set_value("targets.acme.url", "https://tap.acme.example")
    project.write_text('target = "acme"\n')
    with pytest.raises(ConfigError, match="not chosen") as caught:
        Client()
    assert caught.value.file == str(project)
    assert "orch target use acme" in (caught.value.hint or "")
    assert chosen("acme").url == "https://tap.acme.example/v1", "said by the user, it goes"
    config.set_value("target", "acme")
    assert chosen().name == "acme"
    project.write_text('target = "local"\n')
    assert chosen().is_local


def test_a_project_file_cannot_give_a_target_of_yours_another_address(project: Path):
    config.set_value("targets.acme.url", "https://tap.acme.example")
    project.write_text('[targets.acme]\nurl = "https://evil.example"\n')
    with pytest.raises(ConfigError, match="another address than yours"):
        Client("acme")
    project.write_text('[targets.public]\nurl = "https://evil.example"\n')
    with pytest.raises(ConfigError, match="another address"):
        Client("public")


def test_no_stored_key_goes_to_a_host_that_a_project_file_chose(project: Path, monkeypatch: pytest.MonkeyPatch):
    with FakeTap(key=CANARY) as yours, FakeTap(key=CANARY) as theirs:
        secrets.keep(yours.url, CANARY)
        monkeypatch.setenv("ORCH_API_KEY", CANARY)
        project.write_text(f'[targets.helper]\nurl = "{theirs.url}"\nmodel = "m"\n')
        with Client("helper") as client, pytest.raises(NotAuthorised):
            client.chat("hi")
        assert [asked.key for asked in theirs.asked] == [None]
        assert CANARY not in str(theirs.asked)
        with Client("helper", key=CANARY) as client:
            client.chat("given by hand, it goes")

# SPDX-License-Identifier: GPL-3.0-or-later
"""tap.toml: what a new one says, what is read from it, and what is said about mistakes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llama_orch.tap.config.amount import micro_euros, size
from llama_orch.tap.config.folder import chosen, existing
from llama_orch.tap.config.reading import database_url, read
from llama_orch.tap.config.record import (
    FILE,
    AppletRules,
    PaymentRules,
    RoutingRules,
    TapConfig,
    TapLimits,
    UpstreamSpec,
    WarningRules,
    WorkerRules,
)
from llama_orch.tap.config.template import template
from llama_orch.tap.config.writing import add_local, add_upstream, create, remove_upstream
from llama_orch_utils.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create(tmp_path / "tap", "public", "my tap", "sqlite:///tap.db")
    return tmp_path / "tap"


def mended(folder: Path, old: str, new: str) -> None:
    file = folder / FILE
    text = file.read_text()
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new))


def refused(folder: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(folder, environ={})
    return caught.value


def uncommented(text: str) -> str:
    """The template with the settings that it shows as comments switched on."""
    lines = []
    for line in text.splitlines():
        bare = line.removeprefix("# ")
        try:
            tomllib.loads(bare)
        except tomllib.TOMLDecodeError:
            lines.append(line)
            continue
        lines.append(bare if line.startswith("# ") and ("=" in bare or bare.startswith("[")) else line)
    return "\n".join(lines)


def test_a_new_file_has_every_default(folder: Path) -> None:
    assert read(folder, environ={}) == TapConfig(folder, "public", "my tap", f"sqlite:///{folder}/tap.db")
    assert (folder / FILE).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("mode", ["public", "private"])
def test_what_the_file_shows_as_comments_is_what_holds(mode: str, tmp_path: Path) -> None:
    """Every commented line may be switched on; those that name a default name the true one."""
    (tmp_path / FILE).write_text(uncommented(template(mode, "x", "sqlite:///tap.db")))  # type: ignore[arg-type]
    found = read(tmp_path, environ={})
    assert found.limits == TapLimits()
    assert found.routing == RoutingRules()
    assert found.payments == PaymentRules()
    assert found.warnings == WarningRules(webhook="https://you.example/tap")
    assert found.workers == WorkerRules(memory=12 * 2**30, threads=8, gpu_layers=-1)
    assert found.applets == AppletRules(offered=("summarize", "triage"))
    assert found.models[0].upstreams[0] == UpstreamSpec(
        "second", "https://gpu2.example/v1", "GPU2_KEY", model="Qwen/Qwen3-0.6B", ca=tmp_path / "gpu2-ca.pem"
    )
    assert found.hosts == ("tap.example",)
    assert (found.private.month_fee, found.private.gpus) == ((400_000_000, 1) if mode == "private" else (0, 1))


def test_a_tap_is_made_once(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is a tap already") as caught:
        create(folder, "public", "x", "sqlite:///tap.db")
    assert caught.value.hint == f"orch tap serve {folder}"


def test_a_name_with_quotes_and_control_characters_stays_itself(tmp_path: Path) -> None:
    name = 'a "b" \\ c\t\x7fé'
    create(tmp_path / "t", "private", name, "sqlite:///tap.db")
    assert read(tmp_path / "t", environ={}).name == name


def test_upstreams_come_and_go_and_comments_stay(folder: Path) -> None:
    before = (folder / FILE).read_text()
    add_upstream(folder, "gpt:0.6b/x", UpstreamSpec("one", "http://127.0.0.1:1/v1", "KEY", weight=3, model="there"))
    add_upstream(folder, "gpt:0.6b/x", UpstreamSpec("two", "https://two.example/v1"))
    found = add_local(folder, "orch-demo", "orch-demo", pinned=True)
    assert [model.name for model in found.models] == ["gpt:0.6b/x", "orch-demo"]
    assert found.models[0].upstreams == (
        UpstreamSpec("one", "http://127.0.0.1:1/v1", "KEY", weight=3, model="there"),
        UpstreamSpec("two", "https://two.example/v1"),
    )
    assert found.models[1].pinned
    assert (folder / FILE).read_text().startswith(before.rstrip())
    with pytest.raises(ConfigError, match="has an upstream 'two' already"):
        add_upstream(folder, "gpt:0.6b/x", UpstreamSpec("two", "https://other.example/v1"))
    assert len(remove_upstream(folder, "gpt:0.6b/x", "one").models[0].upstreams) == 1
    with pytest.raises(ConfigError, match="has no upstream 'one' of gpt"):
        remove_upstream(folder, "gpt:0.6b/x", "one")
    assert [model.name for model in remove_upstream(folder, "gpt:0.6b/x", "two").models] == ["orch-demo"]
    assert remove_upstream(folder, "orch-demo", None).models == ()
    with pytest.raises(ConfigError, match="has no model 'orch-demo'"):
        remove_upstream(folder, "orch-demo", None)
    assert (folder / FILE).read_text().rstrip() == before.rstrip()


def test_what_cannot_be_read_is_not_written(folder: Path) -> None:
    before = (folder / FILE).read_text()
    for spec in (UpstreamSpec("x", "ftp://x"), UpstreamSpec("x", "https://key@host/v1"), UpstreamSpec("x", "nonsense")):
        with pytest.raises(ConfigError):
            add_upstream(folder, "m", spec)
    with pytest.raises(ConfigError, match="cannot name a model"):
        add_local(folder, "../m", "m")
    assert (folder / FILE).read_text() == before


MISTAKES = [
    ("port = 8080", "prot = 8080", "listen.prot is no setting of a tap; did you mean port?", "listen.prot"),
    ("port = 8080", "port = 'x'", "listen.port must be a whole number, 0 to 65535, not 'x'", "listen.port"),
    ("port = 8080", "port = 70000", "not 70000", "listen.port"),
    ("port = 8080", "port = true", "not true", "listen.port"),
    ('mode = "public"', 'mode = "secret"', "mode must be one of public, private, not 'secret'", "mode"),
    ("gateway = true", 'gateway = "yes"', "gateway must be true or false", "gateway"),
    ('currency = "EUR"', 'currency = "USD"', "must be one of EUR", "currency"),
    ('host = "127.0.0.1"', "host = 1", "listen.host must be a text", "listen.host"),
    ("[listen]", "[listen]\ncert = 'x.pem'", "TLS needs a certificate and its key", "listen.key"),
    ("[listen]", "[listen]\nurl = 'https://u:p@h'", "must not hold a key", "listen.url"),
    ("[listen]", "[lisen]", "lisen is no setting of a tap; did you mean listen?", "lisen"),
    ("sqlite:///tap.db", "mysql://x/y", "must be sqlite:///FILE or postgresql://", "database.url"),
    ("[limits]", "[limits]\nmax_body = 'much'", "must be a size such as 16M", "limits.max_body"),
    ("[limits]", "[limits]\ngrace = 'soon'", "must be seconds", "limits.grace"),
    ("[limits]", "[limits]\nmax_concurrent = 0", "1, or more", "limits.max_concurrent"),
    ("[routing]", "[routing]\nretry_ratio = 0.5", "from 0 to 0.2", "routing.retry_ratio"),
    ("[warnings]", "[warnings]\nbalance_eur = [1, -2]", "an amount in euros", "warnings.balance_eur"),
    ("[warnings]", "[warnings]\nexpiry_days = [0]", "a list of whole numbers", "warnings.expiry_days"),
    ("[warnings]", "[warnings]\nsecret_env = 'sk-1'", "the name of an environment variable", "warnings.secret_env"),
    ("[payments]", "[payments]\ntolerance = 0", "1 to 86400", "payments.tolerance"),
    ("[workers]", "[workers]\nmemory = -1", "must be a size", "workers.memory"),
    ("[applets]", "[applets]\noffered = 'triage'", "must be a list of texts", "applets.offered"),
    ("[applets]", "[applets]\noffered = ['Triage!']", "a list of applets' names", "applets.offered"),
    ("[applets]", "[applets]\noffered = ['x', 'x']", "names an applet twice", "applets.offered"),
    ("[applets]", "[applets]\nrun_seconds = 0", "a second or more", "applets.run_seconds"),
    ("[applets]", "[applets]\nmax_cost_eur = -1", "an amount in euros", "applets.max_cost_eur"),
    ("[applets]", "[applets]\noffer = []", "did you mean offered?", "applets.offer"),
    ("[workers]", "[private]\nmonth_fee_eur = 5\n[workers]", "whose mode is private", "private.month_fee_eur"),
    ("[workers]", "[private]\ngpus = 3\n[workers]", "1, 2, 4 or 8", "private.gpus"),
    ("[workers]", "[models.x]\npinned = true\n[workers]", "must say where the model runs", "models.x.local"),
    ("[workers]", "[models.x]\nlocal = 3\n[workers]", "must be a text", "models.x.local"),
    ("[workers]", "[models.x.upstreams.a]\nweight = 1\n[workers]", "is missing", "models.x.upstreams.a.url"),
    ("[workers]", "[models]\nx = 1\n[workers]", "must be a table: [models.x]", "models.x"),
    ("[workers]", "[models.x]\nlocal='y'\ncapabilities=['magic']\n[workers]", "may hold", "models.x.capabilities"),
]


@pytest.mark.parametrize(("old", "new", "words", "key"), MISTAKES, ids=[each[3] + each[1][-9:] for each in MISTAKES])
def test_a_mistake_is_named_with_its_line_and_key(old: str, new: str, words: str, key: str, folder: Path) -> None:
    mended(folder, old, new)
    error = refused(folder)
    assert words in error.message
    assert error.key == key
    assert error.file == str(folder / FILE)
    assert f"line {error.line}" in error.message
    assert "line" in (error.hint or "") or "orch tap" in (error.hint or "")
    line = (folder / FILE).read_text().splitlines()[(error.line or 0) - 1]
    assert key.rpartition(".")[2] in line or line.startswith("["), line


def test_a_key_that_is_written_into_the_file_is_not_repeated(folder: Path) -> None:
    mended(folder, "[workers]", "[models.x.upstreams.a]\nurl='http://h/v1'\nkey_env='sk-canary-123456'\n[workers]")
    error = refused(folder)
    assert "canary" not in f"{error.message}{error.hint}"
    assert error.key == "models.x.upstreams.a.key_env"


def test_what_is_no_toml_is_named_with_its_place(folder: Path) -> None:
    mended(folder, "port = 8080", "port = = 1")
    error = refused(folder)
    assert error.line is not None
    assert "column" in error.message


def test_the_folder_is_named_or_in_the_environment(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="there is no tap here") as caught:
        existing(None)
    assert "ORCH_TAP_DIR" in (caught.value.hint or "")
    monkeypatch.setenv("ORCH_TAP_DIR", str(folder))
    assert existing(None) == folder
    assert chosen(str(tmp_path / "other")) == tmp_path / "other"
    monkeypatch.chdir(folder)
    monkeypatch.delenv("ORCH_TAP_DIR")
    assert existing(None) == folder


def test_the_databases_address() -> None:
    home = Path("/srv/my tap")
    assert database_url("sqlite:///tap.db", home) == "sqlite:////srv/my%20tap/tap.db"
    assert database_url("sqlite:////var/x.db", home) == "sqlite:////var/x.db"
    assert database_url("postgresql://u:p@h:5/n?x=1", home) == "postgresql://u:p@h:5/n?x=1"
    assert database_url("postgres://h/n", home) == "postgresql://h/n"
    for wrong in ("", "tap.db", "sqlite://", "sqlite:///", "mysql://x", "postgresql://"):
        with pytest.raises(ValueError, match=r"must be|names no file"):
            database_url(wrong, home)


def test_the_environments_database_counts_first(folder: Path) -> None:
    assert read(folder, environ={"ORCH_TAP_DATABASE": "postgresql://h/n"}).database == "postgresql://h/n"
    with pytest.raises(ConfigError, match="ORCH_TAP_DATABASE must be") as caught:
        read(folder, environ={"ORCH_TAP_DATABASE": "nonsense"})
    assert caught.value.hint == "unset ORCH_TAP_DATABASE"


@pytest.mark.parametrize(
    ("text", "micro"),
    [("10", 10_000_000), ("2.50", 2_500_000), ("0.000001", 1), (0, 0), ("1e2", 100_000_000), (" 3 ", 3_000_000)],
)
def test_euros_are_read_exactly(text: object, micro: int) -> None:
    assert micro_euros(text) == micro


@pytest.mark.parametrize("text", ["-1", "0.0000001", "ten", "", "nan", "inf", "1e99", True, None])
def test_other_words_are_no_euros(text: object) -> None:
    with pytest.raises(ValueError, match="an amount in euros"):
        micro_euros(text)


@given(st.integers(0, 2**53))
def test_every_amount_survives_its_writing(amount: int) -> None:
    assert micro_euros(f"{amount // 1_000_000}.{amount % 1_000_000:06d}") == amount


def test_sizes() -> None:
    assert (size(5), size("16M"), size("1.5GiB"), size("2 kb")) == (5, 16 * 2**20, 3 * 2**29, 2048)
    for wrong in ("", "M", "-1", 1.5, True):
        with pytest.raises(ValueError, match="a size such as"):
            size(wrong)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="ab=[]\"'.\n {},1#-", max_size=60), st.integers(0, 90))
def test_no_file_whatever_is_in_it_is_a_crash(tmp_path: Path, junk: str, line: int) -> None:
    lines = template("private", "x", "sqlite:///tap.db").splitlines()
    (tmp_path / FILE).write_text("\n".join([*lines[:line], junk, *lines[line:]]))
    error: ConfigError | None = None
    try:
        read(tmp_path, environ={})
    except ConfigError as raised:
        error = raised
    assert error is None or (error.file and error.hint)

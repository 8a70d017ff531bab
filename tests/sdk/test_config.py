# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration: precedence, origins, errors with their place, and changes that keep the rest of the file."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch_utils import ConfigError, config
from llama_orch_utils.config import document, environment, paths
from llama_orch_utils.config.atomic import write_atomically
from llama_orch_utils.config.settings import SETTINGS


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    return tmp_path / "a" / "orch.toml"


def user(text: str) -> Path:
    path = config.user_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_precedence_and_origins(project: Path, monkeypatch: pytest.MonkeyPatch):
    def found() -> tuple[object, str]:
        value = config.load(flags).get("model")
        return value.value, str(value.origin)

    flags: dict[str, str | None] = {"model": None}
    assert found() == (None, "default")
    mine = user('model = "user"\n')
    assert found() == ("user", f"user {mine}")
    project.write_text('model = "project"\n')
    assert found() == ("project", f"project {project}")
    monkeypatch.setenv("ORCH_MODEL", "environment")
    assert found() == ("environment", "environment ORCH_MODEL")
    flags["model"] = "flag"
    assert found() == ("flag", "flag")


def test_defaults_and_kinds():
    loaded = config.load({"keep_alive": "5m", "slots": "4", "gpu_layers": "-1", "log": "off"})
    values = {name: loaded.get(name).value for name in SETTINGS}
    assert values["target"] == "local"
    assert (values["keep_alive"], values["slots"], values["gpu_layers"], values["log"]) == (300.0, 4, -1, False)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("90s", 90.0), ("1.5h", 5400.0), ("0", 0.0), ("250ms", 0.25), ("2d", 172800.0)]
)
def test_durations(text: str, seconds: float):
    assert config.load({"keep_alive": text}).get("keep_alive").value == seconds


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("keep_alive", "soon"),
        ("keep_alive", "-1"),
        ("slots", "0"),
        ("slots", "1.5"),
        ("context", "x"),
        ("gpu_layers", "-2"),
        ("log", "maybe"),
        ("color", "red"),
        ("model", " "),
    ],
)
def test_what_does_not_fit_says_what_would(name: str, text: str):
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} must be") as caught:
        config.load({name: text})
    assert caught.value.hint


def test_variables_with_a_meaning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert config.load().get("color").value == "always"
    monkeypatch.setenv("NO_COLOR", "1")
    assert config.load().get("color").value == "never"
    monkeypatch.setenv("NO_COLOR", "")
    assert config.load().get("color").value == "always"
    monkeypatch.setenv("ORCH_NO_LOG", "1")
    assert config.load().get("log").value is False


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("model = \n", 1, 9),
        ('a = 1\nmodel = "x\n', 2, 11),
        ("a = 1\na = 2\n", 2, 6),
        ("[targets.x", 1, 11),
        ("x", 1, 2),
    ],
)
def test_a_file_that_does_not_parse_tells_line_and_column(text: str, line: int, column: int):
    path = user(text)
    with pytest.raises(ConfigError) as caught:
        config.load()
    error = caught.value
    assert (error.file, error.line, error.column) == (str(path), line, column)
    assert f"line {line}, column {column}" in str(error)
    assert str(path) in (error.hint or "")


def test_a_file_that_is_not_utf8_tells_the_place():
    path = config.user_file()
    path.parent.mkdir(parents=True)
    path.write_bytes(b'a = 1\nmodel = "\xff"\n')
    with pytest.raises(ConfigError) as caught:
        config.load()
    assert (caught.value.line, caught.value.column) == (2, 10)


@pytest.mark.parametrize(
    "text",
    [
        "slots = 0",
        "slots = true",
        "model = 5",
        "targets = 5",
        "[targets]\nx = 5",
        "[targets.x]\nmodel = 'a'",
        "[targets.x]\nurl = 5",
    ],
)
def test_a_value_that_does_not_fit_tells_the_file(text: str):
    path = user(text + "\n")
    with pytest.raises(ConfigError) as caught:
        config.load()
    assert caught.value.file == str(path)
    assert caught.value.key


def test_an_unreadable_file_and_a_directory_in_its_place():
    config.user_file().mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot read"):
        config.load()


def test_an_unknown_key_is_kept_and_warned_about():
    path = user('modle = "x"\n[later]\na = 1\n')
    loaded = config.load()
    assert "did you mean model?" in loaded.warnings[0]
    config.set_value("model", "y")
    assert tomllib.loads(path.read_text()) == {"modle": "x", "model": "y", "later": {"a": 1}}


def test_an_unknown_setting_is_refused():
    with pytest.raises(ConfigError, match="did you mean model"):
        config.set_value("modle", "x")
    with pytest.raises(ConfigError):
        config.load().get("nothing")


def test_a_change_keeps_comments_order_and_spelling():
    path = user(
        '# mine\n"model" = "old" # the small one\n\n[targets.acme] # work\n  url = "https://a" # tap\n\n# end\n'
    )
    config.set_value("model", 'a "new" # one')
    config.set_value("slots", "4")
    config.set_value("targets.acme.model", "m")
    config.set_value("targets.b.c.url", "https://b")
    text = path.read_text()
    assert '"model" = "a \\"new\\" # one"  # the small one' in text
    assert all(comment in text for comment in ("# mine", "# work", "# tap", "# end"))
    assert tomllib.loads(text) == {
        "model": 'a "new" # one',
        "slots": 4,
        "targets": {"acme": {"url": "https://a", "model": "m"}, "b.c": {"url": "https://b"}},
    }
    assert config.unset_value("targets.acme")
    assert config.unset_value("model")
    assert not config.unset_value("model")
    assert tomllib.loads(path.read_text()) == {"slots": 4, "targets": {"b.c": {"url": "https://b"}}}
    assert "# mine" in path.read_text()
    assert [entry.url for entry in config.load().targets.values()] == ["https://b"]


def test_a_file_written_in_an_unusual_way_is_not_spoilt():
    path = user('targets = { acme = { url = "https://a" } }\n')
    with pytest.raises(ConfigError, match="cannot be changed") as caught:
        config.set_value("targets.acme.url", "https://b")
    assert "by hand" in (caught.value.hint or "")
    assert path.read_text() == 'targets = { acme = { url = "https://a" } }\n'


LINE = st.sampled_from(
    [
        'model = "a"',
        "slots = 2 # two",
        "[targets.x]",
        'url = "u" # c',
        "[other]",
        "",
        "# model = 1",
        "[[list]]",
        'text = """',
        '"""',
        "model = 'b#c'",
        "  slots = 3",
    ]
)


@given(
    st.lists(LINE, max_size=10),
    st.sampled_from([("model",), ("slots",), ("targets", "x", "url")]),
    st.sampled_from([None, "v#1", 5]),
)
def test_a_change_of_any_file_changes_that_key_only_or_refuses(lines: list[str], keys: tuple[str, ...], value: object):
    text = "\n".join(lines) + "\n"
    try:
        before = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    try:
        after = tomllib.loads(document.change(Path("x"), text, keys, value))
    except ConfigError:
        return
    here, there = before, after
    for key in keys[:-1]:
        if not isinstance(here.get(key, {}), dict):
            return
        here, there = here.setdefault(key, {}), there.setdefault(key, {})
    assert there.pop(keys[-1], None) == value
    here.pop(keys[-1], None)
    assert document._pruned(before) == document._pruned(after)


def test_the_written_file_is_private_and_whole(tmp_path: Path):
    config.set_value("model", "x")
    assert stat.S_IMODE(config.user_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(config.user_file().parent.stat().st_mode) == 0o700
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert not [path for path in tmp_path.iterdir() if path.name not in ("real", "link")]


def test_a_full_disk_leaves_the_old_file():
    path = user('model = "old"\n')
    code = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8, 8))
from llama_orch_utils import ConfigError, config
try:
    config.set_value("model", "new and longer")
except ConfigError as error:
    print(error, "|", error.hint)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert b"cannot write" in done.stdout
    assert path.read_text() == 'model = "old"\n'
    assert {entry.name for entry in path.parent.iterdir()} <= {"config.toml", ".config.toml.lock"}


def test_two_that_write_at_once_lose_nothing():
    code = """
import sys
from llama_orch_utils import config
for number in range(15):
    config.set_value(f"targets.{sys.argv[1]}{number}.url", "https://x")
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "ab"]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert len(config.load().targets) == 30


def test_places(orch_home: Path, monkeypatch: pytest.MonkeyPatch):
    kinds = [paths.config_dir, paths.data_dir, paths.state_dir, paths.cache_dir, paths.runtime_dir]
    assert [kind().name for kind in kinds] == ["config", "data", "state", "cache", "run"]
    assert not any(kind().exists() for kind in kinds), "nothing is made by asking"
    monkeypatch.setenv("ORCH_HOME", "/tmp/" + "x" * 90)
    short = paths.runtime_dir()
    assert str(short).startswith(f"/tmp/orch-{os.getuid()}-")
    assert len(str(short)) + paths.SOCKET_NAME_BYTES <= 100
    monkeypatch.delenv("ORCH_HOME")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert all("llama-orch" in str(kind()) or str(kind()).startswith("/tmp/orch-") for kind in kinds)


def test_a_private_directory(tmp_path: Path):
    made = paths.ensure_private(tmp_path / "a" / "b")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    made.chmod(0o755)
    assert stat.S_IMODE(paths.ensure_private(made).stat().st_mode) == 0o700
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError):
        paths.ensure_private(tmp_path / "file" / "x")


def test_every_variable_is_declared_once_and_documented():
    names = [item.name for item in environment.VARIABLES]
    assert len(names) == len(set(names))
    assert all(item.setting is None or item.setting in SETTINGS for item in environment.VARIABLES)
    table = environment.markdown_table()
    assert all(f"| `{name}` |" in table for name in names)
    assert environment.variable("ORCH_API_KEY").secret
    with pytest.raises(KeyError):
        environment.variable("ORCH_NOTHING")

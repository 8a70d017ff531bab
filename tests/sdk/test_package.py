# SPDX-License-Identifier: GPL-3.0-or-later
"""The package as a stranger gets it: a cheap lazy import, one facade, and a wheel that stands alone."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from environments import build_wheel, make_environment

import llama_orch_utils
from llama_orch_utils.version import VERSION

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "src" / "llama_orch_utils"
HEAVY = {
    "aiohttp", "anyio", "asyncio", "email", "h11", "http", "httpcore", "httpx", "importlib.metadata", "json", "keyring",
    "logging", "pathlib", "platformdirs", "pydantic", "socket", "ssl", "tomllib", "typing", "urllib.request",
}  # fmt: skip


# The facade itself: nothing but the table of names, and the version.
FACADE = {"llama_orch_utils", "llama_orch_utils.facade", "llama_orch_utils.version"}


def loaded_by(code: str, *, site: bool = False) -> set[str]:
    program = f"import sys; before = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before), sep='\\n')"
    command = [sys.executable, *([] if site else ["-S"]), "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    return set(done.stdout.decode().split())


def test_the_import_loads_nothing():
    assert loaded_by("import llama_orch_utils") == FACADE


def test_errors_and_records_load_nothing_heavy():
    found = loaded_by("from llama_orch_utils import OrchError, ConfigError")
    assert not found & HEAVY
    found = loaded_by("from llama_orch_utils import applets, config")
    assert not found & (HEAVY - {"pathlib", "typing"})


def test_a_client_over_plain_http_loads_no_httpx_pydantic_or_keyring():
    found = loaded_by("from llama_orch_utils import Client; Client('local')", site=True)
    assert not found & {"httpx", "pydantic", "keyring", "aiohttp", "asyncio", "ssl", "llama_orch"}


NEW_FEATURES = """
from llama_orch_utils import Client, tool, Attachment
from llama_orch_utils.testing import FakeTap
import sys

@tool
def weather(city: str) -> str:
    "Weather."
    return city

with FakeTap() as tap, Client(tap.url, key="k", model="m") as client:
    client.chat("hi")
    list(client.stream("hi", reasoning_effort="low"))
    plain = {"type": "function", "function": {"name": "x"}}
    client.chat("hi", tools=[plain])
    client.embed("x")
    client.rerank("x", ["y"])
    Attachment("a.txt", b"text").text
    assert not {"pydantic", "httpx", "asyncio", "keyring", "numpy"} & set(sys.modules)
    client.chat("hi", tools=[weather])
    assert "pydantic" in sys.modules
"""


def test_pydantic_comes_with_the_first_shape_or_function_and_not_before():
    loaded_by(NEW_FEATURES, site=True)


def test_the_facade_is_its_static_mirror():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    mirror = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(mirror) == sorted(llama_orch_utils.__all__) == sorted(llama_orch_utils._HOME_OF)
    for name, home in mirror.items():
        assert home == f"llama_orch_utils.{llama_orch_utils._HOME_OF[name]}.{name}"
        assert getattr(llama_orch_utils, name).__name__ == name
    assert set(llama_orch_utils.__all__) <= set(dir(llama_orch_utils))
    with pytest.raises(AttributeError):
        _ = llama_orch_utils.nothing


def test_every_error_of_the_tree_is_public():
    from llama_orch_utils import errors

    tree = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert tree <= set(llama_orch_utils.__all__)


def test_the_version_is_the_projects():
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION == llama_orch_utils.__version__


def test_every_public_module_is_importable_and_says_what_it_is():
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        assert path.read_text().startswith("# SPDX-License-Identifier: Apache-2.0\n"), path


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel of this package, what it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    return make_environment(folder / "env", [build_wheel("llama-orch-utils", folder)])


ALONE = """
import importlib.util, json, sys
import llama_orch_utils
names = ("typer", "rich", "llama_cpp", "llama_orch", "numpy", "aiohttp", "pytest")
strangers = [name for name in names if importlib.util.find_spec(name)]
from llama_orch_utils import Client, ConfigError
from llama_orch_utils.testing import FakeTap
with FakeTap() as tap, Client(tap.url, key="k", model="m") as client:
    text = client.chat("hi").text
    streamed = "".join(piece.text for piece in client.stream("hi"))
try:
    Client("local").chat("hi")
except ConfigError as error:
    hint = error.hint
said = {"strangers": strangers, "text": text, "streamed": streamed, "hint": hint}
print(json.dumps({**said, "file": llama_orch_utils.__file__}))
"""


def test_the_wheel_works_alone(alone: Path, tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([str(alone), "-c", ALONE], cwd=tmp_path, env=environment, capture_output=True, check=True)
    said = json.loads(done.stdout)
    assert said["strangers"] == []
    assert said["text"] == said["streamed"] == "Hello from the fake tap."
    assert said["hint"] == "pip install 'llama-orch[local]'"
    site = Path(said["file"]).parent.parent
    assert site.is_relative_to(alone.parent.parent)
    assert (site / "llama_orch_utils" / "py.typed").exists()
    licences = list(site.glob("llama_orch_utils-*.dist-info/licenses/LICENSE-APACHE"))
    assert len(licences) == 1
    metadata = (licences[0].parent.parent / "METADATA").read_text()
    assert "License-Expression: Apache-2.0" in metadata


@pytest.mark.parametrize("room", ["config", "secrets", "targets"])
def test_the_facades_of_the_rooms_are_lazy_and_whole(room: str):
    import importlib

    facade = importlib.import_module(f"llama_orch_utils.{room}")
    for name in facade.__all__:
        assert not isinstance(getattr(facade, name), type(ast)), "a function, not the module of its name"
    assert sorted(facade.__all__) == sorted(facade._HOME_OF)
    assert loaded_by(f"import llama_orch_utils.{room}") == {*FACADE, f"llama_orch_utils.{room}"}

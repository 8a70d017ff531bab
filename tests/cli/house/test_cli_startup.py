# SPDX-License-Identifier: GPL-3.0-or-later
"""The start-up budgets, held by the modules that may not be loaded; the CPU time is printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import llama_orch

# What a command line may not load to answer a question about itself.
HEAVY = {
    "typer", "click", "rich", "pydantic", "httpx", "httpcore", "keyring", "platformdirs", "ssl", "asyncio", "socket",
    "sqlite3", "tomllib", "numpy", "llama_cpp", "uvicorn", "jinja2", "importlib.metadata", "subprocess", "inspect",
    "dataclasses", "json", "pathlib", "logging", "threading",
}  # fmt: skip
CASES: dict[str, tuple[list[str], set[str]]] = {
    "version": (["--version"], HEAVY | {"re", "typing", "argparse", "enum", "contextlib", "llama_orch_utils"}),
    "help": (["--help"], HEAVY | {"llama_orch_utils", "typing"}),
    "tab": (["_complete", "fish", "show", ""], HEAVY - {"dataclasses", "inspect", "json"}),
}
RUN = (
    "import sys; from llama_orch.cli.main import main; code = main(sys.argv[1:]); "
    "print(*sys.modules, file=sys.stderr); sys.exit(code)"
)


@pytest.mark.parametrize("name", CASES)
def test_modules(name: str, orch_home: Path) -> None:
    words, forbidden = CASES[name]
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    done = subprocess.run([sys.executable, "-c", RUN, *words], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split()) - set(bare.stdout.split())
    assert sorted(loaded & forbidden) == []
    assert not {each for each in loaded if each.startswith("llama_orch.cli.") and each.endswith(".command")} - {
        "llama_orch.cli.models.command", "llama_orch.cli.command",
    }  # fmt: skip


def test_importing_the_sdk() -> None:
    code = "import sys; before = set(sys.modules); import llama_orch_utils; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & (HEAVY | {"re", "typing", "enum"})


def cpu_milliseconds(command: list[str]) -> float:
    """User and system time of one run."""
    with Path(os.devnull).open("wb") as nowhere:
        child = os.posix_spawn(
            command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1)]
        )
        _, status, used = os.wait4(child, 0)
    assert status == 0
    return (used.ru_utime + used.ru_stime) * 1000


@pytest.mark.parametrize("name", CASES)
def test_cpu_time(name: str, orch_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = min(cpu_milliseconds([sys.executable, "-c", "pass"]) for _ in range(5))
    spent = min(cpu_milliseconds([sys.executable, "-c", RUN, *CASES[name][0]]) for _ in range(5))
    with capsys.disabled():
        print(f"\norch {' '.join(CASES[name][0])}: {spent:.1f} ms of CPU, bare interpreter {bare:.1f} ms")
    assert spent < bare * 20  # the budgets are held by the modules above; a clock only catches what is far off


def test_the_version_is_the_distributions() -> None:
    import tomllib

    root = Path(__file__).parents[3]
    assert tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"] == llama_orch.__version__

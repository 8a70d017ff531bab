# SPDX-License-Identifier: GPL-3.0-or-later
"""The low-level binding comes without its package, and the package still works afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_only_the_low_level_module_is_imported():
    code = """
import sys
from llama_orch.engine import library
lib = library.load()
assert lib is library.load()
loaded = [name in sys.modules for name in ("llama_cpp", "llama_cpp.llama", "jinja2")]
print(lib.llama_max_devices() > 0, *loaded)
"""
    assert run(code).split() == ["True", "False", "False", "False"]


def test_the_whole_package_can_be_imported_afterwards_and_shares_the_library():
    code = """
from llama_orch.engine import library
lib = library.load()
import llama_cpp, llama_cpp.llama_cpp
print(llama_cpp.llama_cpp is lib, llama_cpp.Llama.__name__, llama_cpp.__version__ > "0")
"""
    assert run(code).split() == ["True", "Llama", "True"]


def test_the_whole_package_can_be_there_before():
    assert run("""
import llama_cpp
from llama_orch.engine import library
print(library.load() is llama_cpp.llama_cpp)
""").split() == ["True"]


def test_without_the_binding_the_error_says_what_to_install():
    code = """
import sys
sys.path = [p for p in sys.path if "site-packages" not in p] + [p for p in sys.argv[1:]]
import importlib.util
real = importlib.util.find_spec
from llama_orch.engine import library
from llama_orch_utils.errors import EngineFailed
sys.path = [p for p in sys.path if "site-packages" not in p]
try:
    library.load()
except EngineFailed as error:
    print(error, "|", error.hint)
"""
    import llama_orch

    root = str(next(iter(llama_orch.__path__)))
    found = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": root.removesuffix("/llama_orch")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout.strip().endswith("| pip install 'llama-orch[local]'"), found.stderr


@pytest.mark.parametrize("name", ["engine", "library", "model", "context", "smoke", "trial", "records"])
def test_importing_the_engine_loads_neither_the_binding_nor_a_library(name: str):
    code = f"import sys, llama_orch.engine.{name}; print([m for m in sys.modules if m.startswith('llama_cpp')])"
    assert run(code) == "[]\n"

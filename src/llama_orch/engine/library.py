# SPDX-License-Identifier: GPL-3.0-or-later
"""llama.cpp's binding: only the low-level module of llama-cpp-python, and llama.cpp's log.

`import llama_cpp` costs 170 to 270 ms (it brings the server's chat formats along); the ctypes module alone 34 to 49.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from llama_orch_utils.errors import EngineFailed

_PACKAGE = "llama_cpp"
_LEVEL_WARNING, _LEVEL_ERROR, _LEVEL_CONTINUED = 3, 4, 5  # ggml_log_level (ggml.h)
_KEPT_LINES = 200

_lock = threading.Lock()
_binding: ModuleType | None = None
_vision: ModuleType | None = None


class Log:
    """llama.cpp's log lines: the last ones kept as reasons, warnings and worse passed on to stderr.

    `sizes` are the lines about buffers and layers of everything that was loaded in this process.

    The callback object must live as long as the library: llama.cpp keeps its address, and calling a collected one
    kills the process.
    """

    def __init__(self, binding: ModuleType, *, everything: bool = False) -> None:
        self.everything = everything
        self._lines: deque[tuple[int, str]] = deque(maxlen=_KEPT_LINES)
        self.sizes: list[str] = []
        self._level = 0
        self.callback: object = binding.llama_log_callback(self._receive)
        binding.llama_log_set(self.callback, None)

    def clear(self) -> None:
        """Forget what was said: the next reason is to be about the next call."""
        self._lines.clear()

    def reason(self) -> str:
        """The first error since `clear` in words, without llama.cpp's function names; empty if there was none."""
        for level, line in list(self._lines):
            if level >= _LEVEL_ERROR:
                return _without_function(line)
        return ""

    def last_words(self, count: int = 12) -> str:
        """The last lines as they came."""
        return "\n".join(line for _, line in list(self._lines)[-count:])

    def _receive(self, level: int, text: bytes | None, _data: object) -> None:
        line = (text or b"").decode("utf-8", "replace")
        if level == _LEVEL_CONTINUED:
            level = self._level
            if self._lines and not self._lines[-1][1].endswith("\n"):
                self._lines[-1] = (level, self._lines[-1][1] + line)
                line = ""
        self._level = level
        if (" size = " in line and "MiB" in line) or "offloaded" in line:
            self.sizes.append(line.rstrip("\n"))
        if line.strip(" .\n"):
            self._lines.append((level, line.rstrip("\n")))
            if self.everything or level in (_LEVEL_WARNING, _LEVEL_ERROR):
                sys.stderr.write(line.rstrip("\n") + "\n")


_log: Log | None = None


def load() -> ModuleType:
    """The module `llama_cpp.llama_cpp`, loaded at the first call. Raises EngineFailed if it is not there or broken."""
    global _binding, _log
    with _lock:
        if _binding is None:
            binding = _import_low_level()
            _log = Log(binding)
            binding.llama_backend_init()
            _binding = binding
        return _binding


def has_vision() -> bool:
    """Whether the library was built with its part for images (`libmtmd`); nothing is loaded."""
    return any(path.stem.removeprefix("lib") == "mtmd" for path in files())


def load_vision() -> ModuleType:
    """The module `llama_cpp.mtmd_cpp`, loaded at the first call. Raises EngineFailed if it is not there or broken."""
    global _vision
    load()
    with _lock:
        if _vision is None:
            try:
                module = _import_submodule("mtmd_cpp")
            except (ImportError, OSError, RuntimeError, AttributeError) as error:
                raise EngineFailed(
                    f"llama.cpp's library for images cannot be loaded: {error}",
                    hint="orch engine build --backend cpu",
                    code="no_vision",
                ) from error
            assert _log is not None
            module.mtmd_helper_log_set(_log.callback, None)
            _vision = module
        return _vision


def log() -> Log:
    """The log of the loaded library."""
    load()
    assert _log is not None
    return _log


def files() -> list[Path]:
    """The shared libraries of the installed binding, sorted by name; nothing is loaded. Raises EngineFailed."""
    folder = Path(_locate().submodule_search_locations[0]) / "lib"
    return sorted(path for path in folder.iterdir() if path.suffix in {".so", ".dylib", ".dll"})


def no_core_file() -> None:
    """For children whose crash is one of the expected answers: it leaves nothing on the disk."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _Located:
    """Where the package lies, with the one attribute that its finder may leave None already checked."""

    def __init__(self, make: Callable[[], ModuleType], folders: list[str]) -> None:
        self.make, self.submodule_search_locations = make, folders


def _locate() -> _Located:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EngineFailed(
            "llama.cpp is not installed: this installation cannot run local models.",
            hint="pip install 'llama-orch[local]'",
        )
    return _Located(lambda: importlib.util.module_from_spec(spec), list(spec.submodule_search_locations))


def _import_low_level() -> ModuleType:
    try:
        return _import_submodule(_PACKAGE)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise EngineFailed(
            f"llama.cpp's library cannot be loaded: {error}",
            hint="pip install --force-reinstall --no-cache-dir 'llama-orch[local]'",
        ) from error


def _import_submodule(name: str) -> ModuleType:
    """Imports the submodule under an empty parent, and takes the parent away again.

    A later `import llama_cpp` by anybody else runs the package as usual and finds the same submodule.
    """
    located = _locate()
    stand_in = None
    if _PACKAGE not in sys.modules:
        stand_in = sys.modules[_PACKAGE] = located.make()
    try:
        return importlib.import_module(f"{_PACKAGE}.{name}")
    finally:
        if stand_in is not None and sys.modules.get(_PACKAGE) is stand_in:
            del sys.modules[_PACKAGE]


def _without_function(line: str) -> str:
    """`llama_model_load: error loading model: no space` to `no space`; lines without such a head stay."""
    words = line.strip()
    for head in ("llama_model_load: ", "error loading model: ", "llama_model_load_from_file_impl: "):
        words = words.removeprefix(head)
    head, _, rest = words.partition(": ")
    return rest if rest and " " not in head and "_" in head else words

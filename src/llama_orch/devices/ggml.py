# SPDX-License-Identifier: GPL-3.0-or-later
"""ggml's registry of devices by ctypes: the binding has no names for it. Source: ggml-backend.h.

Only for a process that may load llama.cpp: a worker, or the child that `llamacpp.ask` starts.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from llama_orch.devices.device import Device, Kind, LlamaCpp

_KINDS: dict[int, Kind] = {0: "cpu", 1: "gpu", 2: "igpu", 3: "accel"}  # enum ggml_backend_dev_type
_FEATURE = re.compile(r"(\w+) = 1")
_SUFFIX = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")


class _Props(ctypes.Structure):
    """`ggml_backend_dev_props`, with room behind for what newer versions add."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("memory_free", ctypes.c_size_t),
        ("memory_total", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("device_id", ctypes.c_char_p),
        ("caps", ctypes.c_uint8 * 256),
    )


def folder() -> Path | None:
    """Where llama.cpp's libraries lie; None where it is not installed."""
    if override := os.environ.get("LLAMA_CPP_LIB_PATH"):  # as the binding has it
        return Path(override)
    spec = importlib.util.find_spec("llama_cpp")
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) / "lib" if places else None


@cache
def library(name: str) -> ctypes.CDLL:
    """`libNAME` of the installed llama.cpp. Raises OSError where it cannot be loaded."""
    where = folder()
    if where is None:
        raise OSError("llama.cpp is not installed")
    prefix = "" if sys.platform == "win32" else "lib"
    return ctypes.CDLL(str(where / f"{prefix}{name}{_SUFFIX}"))


def pointer(name: str) -> int | None:
    """The `ggml_backend_dev_t` of the device with ggml's name `name`."""
    found = _function("ggml_backend_dev_by_name", ctypes.c_void_p, ctypes.c_char_p)(name.encode())
    return found or None


def told() -> LlamaCpp:
    """The devices of the loaded llama.cpp and its CPU features. Raises OSError where it cannot be loaded."""
    info = library("llama").llama_print_system_info
    info.restype = ctypes.c_char_p
    features = _FEATURE.findall(info().decode("utf-8", "replace"))
    return LlamaCpp(tuple(_numbered(_devices())), tuple(features))


def _devices() -> Iterator[Device]:
    count = _function("ggml_backend_dev_count", ctypes.c_size_t)()
    get = _function("ggml_backend_dev_get", ctypes.c_void_p, ctypes.c_size_t)
    for index in range(count):
        yield _device(get(index))


def _device(pointer: int) -> Device:
    props = _Props()
    _function("ggml_backend_dev_get_props", None, ctypes.c_void_p, ctypes.c_void_p)(pointer, ctypes.byref(props))
    kind = _function("ggml_backend_dev_type", ctypes.c_int, ctypes.c_void_p)(pointer)
    registry = _function("ggml_backend_dev_backend_reg", ctypes.c_void_p, ctypes.c_void_p)(pointer)
    backend = _function("ggml_backend_reg_name", ctypes.c_char_p, ctypes.c_void_p)(registry)
    return Device(
        name=_text(props.name),
        backend=_text(backend),
        kind=_KINDS.get(kind, "accel"),
        description=_text(props.description).strip(),
        total=props.memory_total,
        free=props.memory_free,
        bus=_text(props.device_id).lower() or None,
    )


def _numbered(devices: Iterator[Device]) -> Iterator[Device]:
    """With numbers for the GPUs, as llama.cpp itself takes them: integrated ones only where there is no other."""
    from dataclasses import replace

    found = list(devices)
    kind = "gpu" if any(each.kind == "gpu" for each in found) else "igpu"
    number = 0
    for each in found:
        if each.kind == kind:
            yield replace(each, number=number)
            number += 1
        else:
            yield each


def _function(name: str, result: type | None, *arguments: type) -> ctypes._NamedFuncPointer:  # pyright: ignore[reportPrivateUsage]
    function = library("ggml")[name]
    function.restype = result
    function.argtypes = list(arguments)
    return function


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")

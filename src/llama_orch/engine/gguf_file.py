# SPDX-License-Identifier: GPL-3.0-or-later
"""Is this file a GGUF at all? Asked before llama.cpp is, because its own words for it help nobody.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (magic, version, tensor and key counts).
"""

from __future__ import annotations

import struct
from pathlib import Path

from llama_orch_utils.errors import EngineFailed

_MAGIC = b"GGUF"
_HEADER = struct.Struct("<4sIQQ")
_VERSIONS = (2, 3)
_MOST_TENSORS, _MOST_KEYS = 1 << 20, 1 << 16


def check_header(path: Path) -> int:
    """The size of the file in bytes. Raises EngineFailed in words if it cannot be a GGUF that llama.cpp reads."""
    head, size = _read_head(path)
    if size == 0:
        raise EngineFailed(f"{path} is empty.", hint=_hint(path))
    if not head.startswith(_MAGIC):
        raise EngineFailed(f"{path} is not a GGUF file: it begins with {_shown(head)}.", hint=_hint(path))
    if len(head) < _HEADER.size:
        raise EngineFailed(f"{path} is truncated: {size} bytes are less than a GGUF header.", hint=_hint(path))
    _, version, tensors, keys = _HEADER.unpack(head)
    if version not in _VERSIONS:
        raise EngineFailed(f"{path} has GGUF version {version}; versions 2 and 3 can be read.", hint=_hint(path))
    if not 0 < tensors <= _MOST_TENSORS or not 0 < keys <= _MOST_KEYS:
        raise EngineFailed(
            f"{path} has a damaged GGUF header: it claims {tensors} tensors and {keys} keys.", hint=_hint(path)
        )
    return size


def _read_head(path: Path) -> tuple[bytes, int]:
    try:
        if path.is_dir():
            raise EngineFailed(f"{path} is a folder, not a GGUF file.", hint=_hint(path))
        if not path.is_file():
            missing = not path.exists()
            what = "does not exist" if missing else "is no regular file"
            raise EngineFailed(f"The model file {path} {what}.", hint="orch models ls")
        with path.open("rb") as file:
            return file.read(_HEADER.size), path.stat().st_size
    except PermissionError as error:
        raise EngineFailed(f"No permission to read the model file {path}.", hint=f"chmod u+r {path}") from error
    except (OSError, ValueError) as error:
        raise EngineFailed(f"The model file {path} cannot be read: {error}.", hint="orch models ls") from error


def _shown(head: bytes) -> str:
    return repr(head[:8])[1:]


def _hint(path: Path) -> str:
    return f"fetch the model again, then: orch models link {path}"

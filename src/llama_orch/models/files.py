# SPDX-License-Identifier: GPL-3.0-or-later
"""From a path that somebody typed to the files of a model: all parts of a split one, each looked at first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from llama_orch.models.digest import Progress, sha256_of
from llama_orch.models.gguf_header import GgufHeader, read_header
from llama_orch.models.held_file import HeldFile, Role
from llama_orch.models.names import is_address
from llama_orch.models.split import part_of, parts_beside
from llama_orch_utils.errors import BadRequest, EngineFailed, ModelNotFound


def weights_at(name: str) -> tuple[Path, ...]:
    """The GGUF at `name`, or all parts of the split one that it is a part of.

    Symbolic links are followed, but not from a split GGUF's parts, whose names matter. Raises ModelNotFound where there
    is no file, EngineFailed where a part is missing.
    """
    given = existing(name)
    if part_of(given.name) == (1, 1):
        given = given.resolve()
    return parts_beside(given)


def existing(name: str) -> Path:
    """The absolute path of the file `name`. Raises ModelNotFound in words where there is none."""
    try:
        path = Path(name).expanduser()
        path.resolve(strict=True)
        found = path.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        shown, address = name.partition("?")[0] if is_address(name) else name, is_address(name)
        hint = f"fetch it: orch pull {shown}" if address else "check the path"
        raise ModelNotFound(f"cannot use the model file {shown}: {why}", hint=hint) from error
    if not found:
        raise ModelNotFound(f"{name} is not a file", hint="give the path of a .gguf file")
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`


def check_weights(parts: Sequence[Path]) -> GgufHeader:
    """The first part's header. Raises EngineFailed for what is no model: corrupt, a projector, an odd part."""
    if not parts:
        raise BadRequest("a model without weights", hint="orch models link MODEL.gguf --projector FILE")
    header, *_ = [read_header(part) for part in parts]
    count = header.number("split.count") or 1
    if count > 1 and count != len(parts):
        raise EngineFailed(
            f"{parts[0]} is one of {count} parts, and its name does not say which",
            hint="give the parts their names: NAME-00001-of-00003.gguf",
            code="model_incomplete",
        )
    if header.text("general.type") == "mmproj" or header.architecture == "clip":
        raise BadRequest(
            f"{parts[0]} is a projector, not a model",
            hint=f"orch models link MODEL.gguf --projector {quote(str(parts[0]))}",
        )
    if header.text("general.type") == "adapter":
        raise BadRequest(
            f"{parts[0]} is a LoRA adapter, not a model",
            hint=f"orch run -m MODEL --lora {quote(str(parts[0]))} 'Hello'",
        )
    return header


def check_projector(path: Path) -> None:
    """Raises EngineFailed or BadRequest for what is no projector."""
    header = read_header(path)
    if header.text("general.type") != "mmproj" and header.architecture != "clip":
        raise BadRequest(f"{path} is no projector: its architecture is {header.architecture}", hint="orch models show")


def hashed(path: Path, role: Role, part: int, progress: Progress | None) -> HeldFile:
    """The file with its SHA-256. Raises EngineFailed for one that changes meanwhile or cannot be read."""
    try:
        before = path.stat()
        digest = sha256_of(path, progress)
        after = path.stat()
    except OSError as error:
        raise EngineFailed(
            f"cannot read {path}: {error.strerror}", hint="check the path and its permissions", code="model_unreadable"
        ) from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise EngineFailed(f"{path} changes while it is read", hint="link it when it is complete", code="model_changed")
    return HeldFile(path, after.st_size, digest, role, part, modified=after.st_mtime_ns)


class Sum:
    """Progress over several files as one."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._before, self._now = progress, total, 0, 0

    def __call__(self, done: int, total: int) -> None:
        """Progress of the present file."""
        self._now = done
        if self._progress:
            self._progress(self._before + done, max(self._total, total))
        if done >= total:
            self._before, self._now = self._before + total, 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""Split GGUFs: one model in several files, `NAME-00001-of-00003.gguf` and so on.

llama.cpp opens the first and finds the others by name (`llama_split_path` in llama.h).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from llama_orch.models.presence import is_file
from llama_orch_utils.errors import EngineFailed

_NAME = re.compile(r"(?P<stem>.*)-(?P<part>\d{5})-of-(?P<parts>\d{5})\.gguf", re.DOTALL)
_MOST = 4096


def split_name(stem: str, part: int, parts: int) -> str:
    """The name of a part, from 1."""
    return f"{stem}-{part:05d}-of-{parts:05d}.gguf"


def stem_of(name: str) -> str:
    """A file's name without `.gguf` and without the part's number."""
    found = _NAME.fullmatch(name)
    return found["stem"] if found else name.removesuffix(".gguf").removesuffix(".GGUF")


def part_of(name: str) -> tuple[int, int]:
    """Which part of how many a file's name says it is; (1, 1) for a whole one."""
    found = _NAME.fullmatch(name)
    part, parts = (int(found["part"]), int(found["parts"])) if found else (1, 1)
    return (part, parts) if 0 < part <= parts <= _MOST else (1, 1)


def parts_beside(path: Path) -> tuple[Path, ...]:
    """All parts of the split GGUF that `path` is a part of, in order; only `path` where it is whole.

    Raises EngineFailed for a part that is not there.
    """
    _, parts = part_of(path.name)
    if parts == 1:
        return (path,)
    stem = stem_of(path.name)
    found = tuple(path.with_name(split_name(stem, part, parts)) for part in range(1, parts + 1))
    missing = [each for each in found if not is_file(each)]
    if missing:
        raise EngineFailed(
            f"{path} is one of {parts} parts, and {len(missing)} are not beside it: {missing[0].name}",
            hint="put all parts into one folder",
            code="model_incomplete",
        )
    return found


def lie_together(paths: Sequence[Path]) -> bool:
    """Whether llama.cpp finds all of `paths` by the name of the first."""
    if len(paths) == 1:
        return True
    stem, parts = stem_of(paths[0].name), len(paths)
    names = [split_name(stem, part, parts) for part in range(1, parts + 1)]
    return [each.name for each in paths] == names and len({each.parent for each in paths}) == 1

# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about files that are always answered: pathlib's raise where nobody may look, or a name is too long."""

from __future__ import annotations

import os
from os import PathLike


def there(path: str | PathLike[str]) -> bool:
    """Whether something is there that can be seen."""
    return os.path.exists(path)  # noqa: PTH110 - as above


def is_file(path: str | PathLike[str]) -> bool:
    """Whether it is a regular file, or a link to one."""
    return os.path.isfile(path)  # noqa: PTH113 - as above


def is_folder(path: str | PathLike[str]) -> bool:
    """Whether it is a folder, or a link to one."""
    return os.path.isdir(path)  # noqa: PTH112 - as above

# SPDX-License-Identifier: GPL-3.0-or-later
"""The names that TAB offers, kept in a cache file: a look into the store or at a target would take too long.

`completion.json` in the cache directory: {"models": [...], "targets": [...], "applets": [...]}. Whoever lists or
changes such names calls `remember`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

_ALWAYS = {"models": ["orch-demo"], "targets": ["local", "public"], "applets": list[str]()}
_MOST_BYTES = 1_000_000


def remembered(kind: str) -> list[str]:
    """The names of a kind: models, targets or applets. What cannot be read counts as nothing remembered."""
    return list(dict.fromkeys([*_ALWAYS.get(kind, []), *_read().get(kind, [])]))


def remember(**names: Iterable[str]) -> None:
    """Replace the names of the kinds that are given. A cache that cannot be written is no error: TAB knows less."""
    import json
    from pathlib import Path

    from llama_orch_utils.config import paths
    from llama_orch_utils.config.atomic import write_atomically
    from llama_orch_utils.errors import ConfigError

    before = _read()
    after = {**before, **{kind: sorted(set(each)) for kind, each in names.items()}}
    if after == before:
        return
    try:
        paths.ensure_private(paths.cache_dir())
        write_atomically(Path(cache_file()), json.dumps(after).encode())
    except ConfigError:
        # Losing the cache costs a few completions; `orch doctor` tells that the directory cannot be written.
        return


def cache_file() -> str:
    """The path of the cache: in `llama_orch_utils.config.paths.cache_dir`, whose import takes half of the budget."""
    if home := os.environ.get("ORCH_HOME"):
        folder = os.path.join(os.path.abspath(os.path.expanduser(home)), "cache")  # noqa: PTH100, PTH111, PTH118 - as above
    else:
        import platformdirs

        folder = platformdirs.user_cache_dir("llama-orch")
    return os.path.join(folder, "completion.json")  # noqa: PTH118 - as above


def _read() -> dict[str, list[str]]:
    import json

    try:
        with open(cache_file(), "rb") as file:  # noqa: PTH123 - pathlib costs 10 ms
            found = json.loads(file.read(_MOST_BYTES))
        return {str(kind): [str(each) for each in names] for kind, names in found.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}

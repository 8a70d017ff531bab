# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client may hear of a model that cannot be loaded.

The error itself names files, and llama.cpp's own words repeat them: that is for the operator, who finds it in the log.
A client hears the model's name, the kind of trouble, and the numbers where memory is short.
"""

from __future__ import annotations

import logging
import re
import time

from llama_orch import machine
from llama_orch.pool.fleet import refusal
from llama_orch_utils.errors import EngineFailed, OrchError, RequestError, TargetTimeout

log = logging.getLogger("llama_orch.fleet")

_AGAIN_SECONDS = 60.0
_RETRY_SECONDS = 5.0
_HINT = "its operator finds the reason in the server's log"
_OWN = frozenset(("loading", "stopping"))
"""Codes of errors that only `refusal` makes: of the model's name and nothing else."""
_WHY = {
    "model_missing": "its file is not there",
    "model_changed": "its file is not the one that was installed",
    "model_unreadable": "its file cannot be read",
    "model_invalid": "its file is damaged, or is no model",
    "model_incomplete": "a part of it is not there",
    "draft_missing": "the model that guesses for it is not there",
    "file_missing": "a file that it is loaded with is not there",
    "gpu_missing": "the GPU that it is to run on is not there",
    "engine_unusable": "the engine does not run on this machine",
    refusal.DIED: "its worker ended while it started",
}
_PATH = re.compile(r"(?<![\w.-])[~.]{0,2}/[^\s/:]|\b[A-Za-z]:\\|\\\\")


class Outward:
    """Makes such errors, and writes what they leave out into the log: once for the same words, then now and then."""

    def __init__(self) -> None:
        self._logged: dict[str, tuple[str, float]] = {}

    def of(self, error: OrchError, name: str) -> OrchError:
        """`error`, met while the model `name` was got ready, as a client may have it."""
        found = outward(error, name)
        if found is not error:
            self._log(error, name)
        return found

    def _log(self, error: OrchError, name: str) -> None:
        words, now = error.message, time.monotonic()
        before, when = self._logged.get(name, ("", 0.0))
        if words != before or now - when > _AGAIN_SECONDS:
            self._logged[name] = (words, now)
            log.error("%s cannot be loaded: %s%s", name, words, f" ({error.hint})" if error.hint else "")


def outward(error: OrchError, name: str) -> OrchError:
    """`error` itself where it is of the client's request, or holds nothing that is the operator's affair."""
    if isinstance(error, RequestError | TargetTimeout) or error.code in _OWN:
        return error
    if error.code in (refusal.OUT_OF_MEMORY, refusal.DIED) and not _tells(error.message, name):
        return error if not _tells(error.hint or "", name) else _told(error, error.message)
    why = _why(error.code)
    return _told(error, f"{name} cannot be loaded: {why}" if why else f"{name} cannot be loaded")


def _why(code: str) -> str | None:
    if code == refusal.OUT_OF_MEMORY:
        return f"there is not enough memory for it; {refusal.gib(machine.available_memory())} are free"
    return _WHY.get(code)


def _tells(words: str, name: str = "") -> bool:
    """Whether they hold a path, other than in the model's name."""
    return _PATH.search(words.replace(name, "")) is not None


def _told(error: OrchError, message: str) -> EngineFailed:
    known = isinstance(error, EngineFailed)
    retry_after = error.retry_after if isinstance(error, EngineFailed) else None
    return EngineFailed(
        message, code=error.code if known else None, hint=_HINT, retry_after=retry_after or _RETRY_SECONDS
    )

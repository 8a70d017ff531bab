# SPDX-License-Identifier: GPL-3.0-or-later
"""The applets that a gateway offers, each in a process that stays warm. Everything here blocks: threads call it."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from llama_orch_utils.errors import OrchError, RequestError

if TYPE_CHECKING:
    from llama_orch_utils.applets.schema import Runnable

log = logging.getLogger("llama_orch.tap")

MOST_RUNS = 32
MOST_WAITING = 256
RUN_SECONDS = 600.0
_PASSED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What an applet's process sees of our environment: nothing of the ledger's or of any key."""
_NOT_FOUND = 404


class Offer:
    """Applets by name. `threads` is where a gateway's event loop has runs wait."""

    def __init__(self, seconds: float = RUN_SECONDS) -> None:
        self.threads = ThreadPoolExecutor(MOST_RUNS, "applet")
        self.waiting = 0
        self._seconds = seconds
        self._home = tempfile.mkdtemp(prefix="orch-applets-")
        self._open: dict[str, Runnable] = {}
        self._lock = threading.Lock()

    def find(self, name: str) -> Runnable:
        """The applet of that name. Raises RequestError 404, AppletError for a broken one."""
        from llama_orch.applets import catalogue

        with self._lock:
            if (found := self._open.get(name)) is not None:
                return found
        if name not in catalogue.names():
            raise RequestError(
                f"there is no applet {name[:64]!r} here", param="/id", code="unknown_applet", status=_NOT_FOUND,
                hint="GET /v1/applets lists them",
            )  # fmt: skip
        made = self._made(name)
        with self._lock:
            return self._open.setdefault(name, made)

    def listing(self) -> list[dict[str, Any]]:
        """Schema and manifest of all; a broken one is a line in the log."""
        from llama_orch.applets import catalogue

        found: list[dict[str, Any]] = []
        for name in catalogue.names():
            try:
                applet = self.find(name)
                manifest = applet.manifest
                found.append({"object": "applet", **applet.schema(), "version": manifest.version,
                              "licence": manifest.licence, "most_cost": manifest.most_cost})  # fmt: skip
            except OrchError as error:
                log.warning("applet %s: %s", name, error.message)
        return found

    def close(self) -> None:
        """Ends the processes."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        for each in self._open.values():
            close = getattr(each, "close", None)
            if close is not None:
                close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _made(self, name: str) -> Runnable:
        from llama_orch.applets import catalogue, lock
        from llama_orch_utils.applets.hosted import Hosted

        if name in lock.read():
            found = catalogue.load(name)
            if found is None or found.applet is None:
                raise found.error if found is not None and found.error is not None else RequestError(name)
            return found.applet
        environment = {each: os.environ[each] for each in _PASSED if each in os.environ}
        return Hosted(name, environment=environment | {"ORCH_HOME": self._home}, seconds=self._seconds)

# SPDX-License-Identifier: Apache-2.0
"""An applet that runs in a process of its own, used like one of this process."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import TimeoutError as TooLong
from typing import TYPE_CHECKING, Any, cast

from llama_orch_utils.applets import rpc
from llama_orch_utils.applets.wire import START_SECONDS, Progress, Stop, Wire
from llama_orch_utils.errors import AppletError

if TYPE_CHECKING:
    from llama_orch_utils.applets.applet import Made
    from llama_orch_utils.applets.files import Files
    from llama_orch_utils.applets.manifest import Manifest
    from llama_orch_utils.client.blocking import Client

RUN_SECONDS = 600.0
Asking = Mapping[str, Any]


def command(name: str, python: str | None = None) -> tuple[str, ...]:
    """The command line of an applet's host; `python` of its own environment, or this one's."""
    return (python or sys.executable, "-m", "llama_orch_utils.applets.host", name)


class Hosted:
    """The applet `name` behind `words` (see `command`); its process starts at the first use, and again if it dies.

    `environment` is all that the process sees of the environment (None: that of this process). `once`: each run has a
    key of its own, and its process keeps nothing for the next one. Safe between threads.
    """

    def __init__(
        self,
        name: str,
        words: Sequence[str] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        seconds: float = RUN_SECONDS,
        once: bool = False,
    ) -> None:
        self._once = once
        self.id, self._words = name, tuple(words or command(name))
        self._environment, self._seconds = environment, seconds
        self._lock = threading.Lock()
        self._wire: Wire | None = None
        self._tool: rpc.Json | None = None

    @property
    def manifest(self) -> Manifest:
        """What it says of itself. Raises AppletError where it does not start."""
        return rpc.manifest_of(self._described()["_meta"][rpc.META]["manifest"])

    def schema(self) -> dict[str, Any]:
        """`id`, `summary`, `input`, `output`. Raises AppletError where it does not start."""
        tool = self._described()
        shapes = {"input": tool["inputSchema"], "output": tool["outputSchema"]}
        return {"id": self.id, "summary": tool["description"], **shapes}

    def invoke(
        self,
        given: Mapping[str, Any],
        *,
        client: Client,
        files: Files | None = None,
        progress: Progress | None = None,
        brand: Mapping[str, str] | None = None,
        max_cost: int | None = None,
        repeat: str | None = None,
        stop: Stop | None = None,
    ) -> Made:
        """One run, by the target, key and model of `client`.

        Raises as `Applet.invoke`; AppletError where its process dies, or `stop` is set.
        """
        target, key, model = client.reaching()
        meta: rpc.Json = {"target": target, "key": key, "model": model, "brand": dict(brand or {})}
        meta |= {"max_cost": max_cost, "repeat": repeat}
        if files is not None:
            meta |= {"reads": [str(each) for each in files.reads], "writes": [str(each) for each in files.writes]}
        return self.call(given, meta, progress, stop)

    def call(
        self,
        given: Mapping[str, Any],
        meta: Mapping[str, Any],
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Made:
        """One run; `meta` as `host` reads it. Raises as `invoke`."""
        from llama_orch_utils.applets.applet import Made

        params: rpc.Json = {"name": self.id, "arguments": dict(given), "_meta": {rpc.META: {**meta, **self._asked}}}
        result = self._ask("tools/call", params, self._seconds, progress, stop)
        told = cast("rpc.Json", result.get("_meta", {}).get(rpc.META, {}))
        text = "\n".join(str(each.get("text", "")) for each in result.get("content", ()))
        if result.get("isError"):
            raise rpc.heard(told["error"]) if "error" in told else AppletError(f"applet {self.id} failed: {text}")
        return Made(cast("rpc.Json", result.get("structuredContent", {})), text, int(told.get("cost", 0)))

    @property
    def _asked(self) -> rpc.Json:
        return {"tell_end": True, "once": self._once}

    def close(self) -> None:
        """Ends its process."""
        with self._lock:
            wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _described(self) -> rpc.Json:
        if self._tool is None:
            self._tool = cast("rpc.Json", self._ask("tools/list", {}, START_SECONDS)["tools"][0])
        return self._tool

    def _ask(
        self,
        method: str,
        params: rpc.Json,
        seconds: float,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> rpc.Json:
        wire = self._open()
        if wire.crowded:
            self._stuck(wire)
            wire = self._open()
        try:
            return wire.ask(method, params, seconds, progress, stop)
        except TooLong as error:
            self._stuck(wire)
            raise AppletError(
                f"applet {self.id} gave no answer within {seconds:.0f} s, and was ended", hint=f"orch {self.id} --help"
            ) from error

    def _stuck(self, wire: Wire) -> None:
        """A run hangs in it: the next one gets another process."""
        with self._lock:
            if self._wire is wire:
                self._wire = None
        wire.retire()

    def _open(self) -> Wire:
        with self._lock:
            if self._wire is None or self._wire.dead:
                if self._wire is not None:
                    self._wire.close()
                wire = Wire(self.id, self._words, self._environment, self._stuck)
                self._wire = wire
                wire.hello()
            return self._wire

# SPDX-License-Identifier: Apache-2.0
"""An applet that runs in a process of its own, used like one of this process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLong
from typing import TYPE_CHECKING, Any, cast

from llama_orch_utils.applets import rpc
from llama_orch_utils.errors import AppletError

if TYPE_CHECKING:
    from llama_orch_utils.applets.applet import Made
    from llama_orch_utils.applets.files import Files
    from llama_orch_utils.applets.manifest import Manifest
    from llama_orch_utils.client.blocking import Client

START_SECONDS, RUN_SECONDS = 20.0, 600.0
_CLOSE_SECONDS, _LAST_LINES = 2.0, 20
Asking = Mapping[str, Any]
Progress = Callable[[int, int, str], None]


def command(name: str, python: str | None = None) -> tuple[str, ...]:
    """The command line of an applet's host; `python` of its own environment, or this one's."""
    return (python or sys.executable, "-m", "llama_orch_utils.applets.host", name)


class Hosted:
    """The applet `name` behind `words` (see `command`); its process starts at the first use, and again if it dies.

    `environment` is all that the process sees of the environment (None: that of this process). Safe between threads.
    """

    def __init__(
        self,
        name: str,
        words: Sequence[str] | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        seconds: float = RUN_SECONDS,
    ) -> None:
        self.id, self._words = name, tuple(words or command(name))
        self._environment, self._seconds = environment, seconds
        self._lock = threading.Lock()
        self._wire: _Wire | None = None
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
    ) -> Made:
        """One run, by the target, key and model of `client`. Raises as `Applet.invoke`; AppletError where it dies."""
        target, key, model = client.reaching()
        meta: rpc.Json = {"target": target, "key": key, "model": model, "brand": dict(brand or {})}
        meta |= {"max_cost": max_cost, "repeat": repeat}
        if files is not None:
            meta |= {"reads": [str(each) for each in files.reads], "writes": [str(each) for each in files.writes]}
        return self.call(given, meta, progress)

    def call(self, given: Mapping[str, Any], meta: Mapping[str, Any], progress: Progress | None = None) -> Made:
        """One run; `meta` as `host` reads it. Raises as `invoke`."""
        from llama_orch_utils.applets.applet import Made

        params: rpc.Json = {"name": self.id, "arguments": dict(given), "_meta": {rpc.META: dict(meta)}}
        result = self._ask("tools/call", params, self._seconds, progress)
        told = cast("rpc.Json", result.get("_meta", {}).get(rpc.META, {}))
        text = "\n".join(str(each.get("text", "")) for each in result.get("content", ()))
        if result.get("isError"):
            raise rpc.heard(told["error"]) if "error" in told else AppletError(f"applet {self.id} failed: {text}")
        return Made(cast("rpc.Json", result.get("structuredContent", {})), text, int(told.get("cost", 0)))

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

    def _ask(self, method: str, params: rpc.Json, seconds: float, progress: Progress | None = None) -> rpc.Json:
        wire = self._open()
        try:
            return wire.ask(method, params, seconds, progress)
        except TooLong as error:
            self.close()  # nothing else ends a thread that hangs
            raise AppletError(
                f"applet {self.id} gave no answer within {seconds:.0f} s, and was ended", hint=f"orch {self.id} --help"
            ) from error

    def _open(self) -> _Wire:
        with self._lock:
            if self._wire is None or self._wire.dead:
                if self._wire is not None:
                    self._wire.close()
                wire = _Wire(self.id, self._words, self._environment)
                self._wire = wire
                wire.hello()
            return self._wire


class _Wire:
    """One process and what was asked of it."""

    def __init__(self, name: str, words: Sequence[str], environment: Mapping[str, str] | None) -> None:
        self._name = name
        self._waiting: dict[int, Future[rpc.Json]] = {}
        self._progress: dict[int, Progress] = {}
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._lock, self._number, self.dead = threading.Lock(), 0, False
        self._hanging = False
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=dict(os.environ if environment is None else environment),
                start_new_session=True,
            )
        except OSError as error:
            raise AppletError(f"applet {name} cannot be started: {error.strerror}", hint="orch applet ls") from error
        self._listener = threading.Thread(target=self._read, daemon=True)
        self._errors = threading.Thread(target=self._overhear, daemon=True)
        self._listener.start()
        self._errors.start()

    def hello(self) -> None:
        """Begins the session (MCP, lifecycle)."""
        about = {"name": "llama-orch", "version": "1"}
        params = {"protocolVersion": rpc.VERSIONS[0], "capabilities": {}, "clientInfo": about}
        try:
            self.ask("initialize", params, START_SECONDS)
        except TooLong as error:
            self.close()
            words = f"applet {self._name} did not start within {START_SECONDS:.0f} s"
            raise AppletError(words, hint="orch applet ls") from error
        self._send({"method": "notifications/initialized"})

    def ask(self, method: str, params: rpc.Json, seconds: float, progress: Progress | None = None) -> rpc.Json:
        """The result. Raises AppletError where the process dies or refuses, TimeoutError."""
        answer: Future[rpc.Json] = Future()
        with self._lock:
            self._number += 1
            number = self._number
            if self.dead:
                raise self._died()
            self._waiting[number] = answer
            if progress is not None:
                self._progress[number] = progress
                params = {**params, "_meta": {**params.get("_meta", {}), "progressToken": number}}
        try:
            self._send({"id": number, "method": method, "params": params})
            return answer.result(seconds)
        except TooLong:
            self._hanging = True
            raise
        finally:
            self._waiting.pop(number, None)
            self._progress.pop(number, None)

    def close(self) -> None:
        """Ends the process, by force where it does not go."""
        self.dead = True
        if self._hanging:
            self._process.kill()
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:
                self._last.append("its input was closed already")
        try:
            self._process.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(_CLOSE_SECONDS)
        self._errors.join(_CLOSE_SECONDS)

    def _send(self, message: rpc.Json) -> None:
        assert self._process.stdin is not None, "it was started with a pipe"
        try:
            with self._lock:
                self._process.stdin.write(rpc.line(message))
                self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._died() from error

    def _read(self) -> None:
        assert self._process.stdout is not None, "it was started with a pipe"
        for raw in self._process.stdout:
            try:
                message = json.loads(raw)
            except ValueError:
                self._last.append(raw.decode("utf-8", "replace").rstrip())
                continue
            if isinstance(message, dict):
                self._take(cast("rpc.Json", message))
        self._errors.join(_CLOSE_SECONDS)
        with self._lock:
            self.dead = True
            waiting = list(self._waiting.values())
        for each in waiting:
            if not each.done():
                each.set_exception(self._died())
        self._process.stdout.close()
        with self._lock, contextlib.suppress(OSError):  # what was written last is nobody's any more
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process.wait()

    def _take(self, message: rpc.Json) -> None:
        if message.get("method") == "notifications/progress":
            told = cast("rpc.Json", message.get("params", {}))
            tell = self._progress.get(cast("int", told.get("progressToken")))
            if tell is not None:
                tell(int(told.get("progress", 0)), int(told.get("total", 0)), str(told.get("message", "")))
            return
        answer = self._waiting.get(cast("int", message.get("id")))
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(AppletError(f"applet {self._name}: {message['error'].get('message', 'it refused')}"))
        else:
            answer.set_result(cast("rpc.Json", message.get("result", {})))

    def _overhear(self) -> None:
        assert self._process.stderr is not None, "it was started with a pipe"
        with self._process.stderr as lines:
            for raw in lines:
                self._last.append(raw.decode("utf-8", "replace").rstrip())

    def _died(self) -> AppletError:
        words = next((each for each in reversed(self._last) if each.strip()), "")
        said = f": {words[:300]}" if words else ""
        return AppletError(f"the process of applet {self._name} ended{said}", hint="orch applet ls")

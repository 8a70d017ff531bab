# SPDX-License-Identifier: Apache-2.0
"""The process of an applet, and the lines of MCP that go to and fro. Safe between threads."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as TooLong
from typing import Any, cast

from llama_orch_utils.applets import rpc
from llama_orch_utils.errors import AppletError

START_SECONDS = 20.0
LEAVE_SECONDS = 5.0
"""How long a run may go on after it was cancelled; then its process ends."""
_CLOSE_SECONDS, _LAST_LINES, _MOST_LEAVING = 2.0, 20, 8
Progress = Callable[[int, int, str], None]


class Stop:
    """Ends a run from another thread: `set` it, once; whoever waits for the run gets AppletError at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hear: Callable[[], None] | None = None
        self._told = False

    def set(self) -> None:
        """The run is to end."""
        with self._lock:
            self._told, hear = True, self._hear
        if hear is not None:
            hear()

    def attach(self, hear: Callable[[], None] | None) -> None:
        """Who hears of it (None: nobody any more); at once where it was set already."""
        with self._lock:
            self._hear, told = hear, self._told
        if told and hear is not None:
            hear()


class Wire:
    """One process and what was asked of it. `on_stuck` hears that a run does not end though it was told to."""

    def __init__(
        self, name: str, words: Sequence[str], environment: Mapping[str, str] | None, on_stuck: Callable[[Wire], None]
    ) -> None:
        self._name = name
        self._waiting: dict[int, Future[rpc.Json]] = {}
        self._progress: dict[int, Progress] = {}
        self._last: deque[str] = deque(maxlen=_LAST_LINES)
        self._lock, self._number, self.dead = threading.Lock(), 0, False
        self._hanging = self._retired = False
        self._on_stuck = on_stuck
        self._leaving: dict[int, threading.Timer] = {}
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

    def ask(
        self,
        method: str,
        params: rpc.Json,
        seconds: float,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> rpc.Json:
        """The result. Raises AppletError where the process dies or refuses, or `stop` is set; TimeoutError."""
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
            if stop is not None:
                stop.attach(lambda: self._cancel(number, answer))
            return answer.result(seconds)
        finally:
            if stop is not None:
                stop.attach(None)
            self._waiting.pop(number, None)
            self._progress.pop(number, None)
            if self._retired and not self._waiting:
                self.close()

    @property
    def crowded(self) -> bool:
        """Whether so many cancelled runs still go on in it that new ones had better run elsewhere."""
        return len(self._leaving) >= _MOST_LEAVING

    def retire(self) -> None:
        """A run in it hangs, and only its end ends that: what else runs there is awaited, then it is killed."""
        self._hanging = self._retired = True
        if not self._waiting:
            self.close()

    def close(self) -> None:
        """Ends the process, by force where it does not go."""
        self.dead = True
        for timer in list(self._leaving.values()):
            timer.cancel()
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

    def _cancel(self, number: int, answer: Future[rpc.Json]) -> None:
        """Frees who waits at once; the process is told beside it, for it may not listen."""
        if answer.done():
            return
        timer = self._leaving[number] = threading.Timer(LEAVE_SECONDS, self._stuck, [number])
        timer.daemon = True
        timer.start()
        with contextlib.suppress(InvalidStateError):  # its answer came just now
            answer.set_exception(AppletError(f"the run of applet {self._name} was cancelled", hint="run it again"))
        threading.Thread(target=self._tell_cancelled, args=(number,), daemon=True).start()

    def _tell_cancelled(self, number: int) -> None:
        with contextlib.suppress(AppletError):  # the process has ended, and the run with it
            self._send({"method": "notifications/cancelled", "params": {"requestId": number}})

    def _stuck(self, number: int) -> None:
        if self._leaving.pop(number, None) is not None and not self.dead:
            self._on_stuck(self)

    def _left(self, number: Any) -> None:
        timer = self._leaving.pop(number, None)
        if timer is not None:
            timer.cancel()

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
        if message.get("method") == rpc.ENDED:
            self._left(cast("rpc.Json", message.get("params", {})).get("requestId"))
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

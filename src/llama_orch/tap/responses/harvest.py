# SPDX-License-Identifier: GPL-3.0-or-later
"""The finished response, picked out of an answer's bytes as they pass to the client."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

from llama_orch.wire.json_body import Json

Response = dict[str, Json]

_FRAME_END = b"\n\n"
_FINAL = (b"event: response.completed\n", b"event: response.incomplete\n", b"event: response.failed\n")
_DATA = b"\ndata: "


class Frames:
    """Cuts a stream of server-sent events into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def push(self, chunk: bytes) -> list[bytes]:
        """The frames that are whole now, each with the empty line that ends it."""
        if not self._rest and chunk.endswith(_FRAME_END) and chunk.count(_FRAME_END) == 1:
            return [chunk]
        *whole, self._rest = (self._rest + chunk).split(_FRAME_END)
        return [frame + _FRAME_END for frame in whole]


class Harvest:
    """An observer. `keep` is called once, before the client has the last byte: it may go on from there at once."""

    def __init__(self, keep: Callable[[Response], None]) -> None:
        self._keep = keep
        self._frames: Frames | None = None
        self._parts: list[bytes] = []
        self._done = False

    def __call__(self, chunk: bytes) -> None:
        """A piece of the answer."""
        if self._done or not chunk:
            return
        if self._frames is None and not self._parts and not chunk.startswith(b"{"):
            self._frames = Frames()
        if self._frames is None:
            self._whole(chunk)
            return
        for frame in self._frames.push(chunk):
            if frame.startswith(_FINAL):
                found = event(frame).get("response")
                self._found(found if isinstance(found, dict) else {})

    def _whole(self, chunk: bytes) -> None:
        self._parts.append(chunk)
        if not chunk.endswith(b"}"):
            return
        try:
            found: object = json.loads(b"".join(self._parts))
        except ValueError:  # a brace in the middle of it
            return
        self._found(cast("Response", found) if isinstance(found, dict) else {})

    def _found(self, response: Response) -> None:
        self._done = True
        self._parts.clear()
        if response.get("object") == "response":
            self._keep(response)


def event(frame: bytes) -> dict[str, Json]:
    """The data of a frame; empty where it has none."""
    at = frame.find(_DATA)
    if at < 0:
        return {}
    found: object = json.loads(frame[at + len(_DATA) :])
    return cast("dict[str, Json]", found) if isinstance(found, dict) else {}

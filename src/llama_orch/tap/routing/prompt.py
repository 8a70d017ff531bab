# SPDX-License-Identifier: GPL-3.0-or-later
"""How many tokens a prompt had, where a stream ended before its server told: asked of that server, else estimated.

Counting makes no token and costs nothing. llama-server and other taps count at `…/input_tokens`, vLLM at `/tokenize`.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, cast

from llama_orch.tap.upstream import UpstreamBroken

if TYPE_CHECKING:
    from llama_orch.tap.routing.errand import Errand
    from llama_orch.tap.upstream import Address

_SECONDS = 2.0
_BYTES_PER_TOKEN = 4
"""Of English text, and a little less than what the JSON around it needs: the estimate where nobody counts."""
_OK = 200
_ANSWERS = ("input_tokens", "count")


class PromptCount:
    """Of one server; remembers where that counts, or that it does not."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._where: list[tuple[str, bool]] | None = None

    async def of(self, errand: Errand, body: bytes) -> int:
        """The tokens of the prompt in `body`, which is as the server was asked."""
        places = self._where if self._where is not None else _places(errand.route.path)
        try:
            async with asyncio.timeout(_SECONDS):
                for place in places:
                    found = await self._asked(errand, body, *place)
                    if found is not None:
                        self._where = [place]
                        return found
        except (OSError, UpstreamBroken):  # TimeoutError is among them
            return len(body) // _BYTES_PER_TOKEN
        self._where = []
        return len(body) // _BYTES_PER_TOKEN

    async def _asked(self, errand: Errand, body: bytes, path: str, root: bool) -> int | None:  # noqa: FBT001 - a pair
        pool = errand.tap.pool
        upstream = await pool.acquire(self._address, fresh=True)
        said = b""
        try:
            await upstream.ask(self._address.head(path, len(body), errand.call.id, root=root), body)
            while upstream.status == _OK and (chunk := await upstream.read()):
                said += chunk
        finally:
            pool.release(self._address, upstream)
        return _number(said)


def _places(path: str) -> list[tuple[str, bool]]:
    return [(f"{path}/input_tokens", False), ("/tokenize", True)]


def _number(said: bytes) -> int | None:
    try:
        found: object = json.loads(said)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    told = [cast("dict[str, object]", found).get(name) for name in _ANSWERS]
    return next((each for each in told if isinstance(each, int) and not isinstance(each, bool) and each > 0), None)

# SPDX-License-Identifier: GPL-3.0-or-later
"""One request of the admin API: who asks, what for, and the answer as JSON."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from llama_orch.tap.admin.beside import within
from llama_orch.tap.admin.keys import books_of, operator
from llama_orch_utils.errors import BadRequest, RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_orch.tap.admin.operations import Operation
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

log = logging.getLogger("llama_orch.tap.admin")

_BASE = "/admin/v1"
_WITH_BODY = ("POST", "PATCH")


async def handle(tap: Tap, call: Call) -> None:
    """Answers one. The books block: they work in a thread. Raises the errors of the one tree."""
    from llama_orch.tap.admin import bodies
    from llama_orch.tap.admin.operations import Asked

    assert tap.config is not None, "only a tap has these routes"
    who = await operator(books_of(tap.config, "admin"), call)
    operation, place = _found(call)
    content = await call.body() if call.scope["method"] in _WITH_BODY and _has_body(call) else b""
    asked = Asked(tap.config, place, _query(call, operation), bodies.read(operation.body, content))
    answer = await within(operation.seconds, operation.run, books_of(tap.config, f"admin:{who}"), asked)
    log.info("%s admin:%s %s %s", call.id, who, operation.method, operation.path)
    await call.reply(
        operation.status, json.dumps(answer, ensure_ascii=False).encode(), [(b"cache-control", b"no-store")]
    )


def _found(call: Call) -> tuple[Operation, tuple[str, ...]]:
    """The operation that is meant. Raises 404, and 405 with the methods that there are."""
    from llama_orch.tap.admin.operations import matching

    found = matching(call.path.removeprefix(_BASE).rstrip("/"))
    method = str(call.scope["method"])
    meant = "GET" if method == "HEAD" else method
    for operation, place in found:
        if operation.method == meant:
            return operation, place
    if not found:
        raise RequestError(
            f"there is no {call.path[:100]} here",
            code="unknown_path",
            status=404,
            hint=f"GET {_BASE} lists what there is",
        )
    words = ", ".join(dict.fromkeys(operation.method for operation, _ in found))
    call.fixed.append((b"allow", words.encode()))
    raise RequestError(f"{call.path[:100]} answers only {words}", code="method_not_allowed", status=405)


def _has_body(call: Call) -> bool:
    return call.headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in call.headers


def _query(call: Call, operation: Operation) -> Mapping[str, str]:
    """The parameters. Raises BadRequest for an unknown one, and for one that is given twice."""
    pairs = parse_qsl(call.query.decode("latin-1"), keep_blank_values=True)
    found = dict(pairs)
    unknown = next((name for name in found if name not in operation.query), None)
    if unknown is not None or len(found) != len(pairs):
        word = unknown if unknown is not None else "a parameter given twice"
        raise BadRequest(f"{_BASE}{operation.path} does not take {word[:60]!r}", param=f"/{(unknown or '')[:60]}")
    return found

# SPDX-License-Identifier: GPL-3.0-or-later
"""From an answer that is no file to the error that says so."""

from __future__ import annotations

from llama_orch.models.download.trouble import AGAIN, Broken
from llama_orch.models.download.way import Way, host_of, origin
from llama_orch.models.download.web import Answer
from llama_orch_utils.errors import ModelNotFound, NotAllowed, NotAuthorised, RateLimited, TargetError

_MAY_PASS = frozenset({408, 425, 500, 502, 503, 504})


def refusal(answer: Answer, way: Way, name: str) -> Exception:
    """What an answer that has no bytes of `name` means: Broken where asking again may help, else an OrchError."""
    at_home = origin(answer.url) == origin(way.url)
    if at_home and way.explain and (told := way.explain(answer.status, answer.response.headers)):
        return told
    host, status = host_of(answer.url), answer.status
    match status:
        case 429:
            wait = _retry_after(answer)
            when = f"run it again in {wait:.0f} s" if wait else "run it again in some minutes"
            hint = f"{when}; it goes on where it stopped"
            return Broken(RateLimited(f"{host} allows no more requests for now", retry_after=wait, hint=hint), wait)
        case _ if status in _MAY_PASS:
            error = TargetError(f"{host} answers {status} for {name}", code="server_failed", hint=AGAIN)
            return Broken(error, _retry_after(answer))
        case 401 | 403 if not at_home:
            # A signed address of the hub's storage that has run out: the next attempt gets a new one.
            return Broken(TargetError(f"{host} refuses {name} ({status})", code="server_failed", hint=AGAIN))
        case 401:
            return NotAuthorised(f"{host} wants a name and a password for {name}", hint="fetch it by other means")
        case 403:
            return NotAllowed(f"{host} refuses {name}", hint="look at the address in a browser")
        case 404 | 410:
            return ModelNotFound(f"{host} has no {name}", hint="check the address")
        case _:
            return TargetError(f"{host} answers {status} for {name}", code="server_failed", hint="check the address")


def _retry_after(answer: Answer) -> float | None:
    """Seconds, where the server says seconds (RFC 9110, 10.2.3)."""
    seconds = answer.number("retry-after")
    return None if seconds is None else float(seconds)

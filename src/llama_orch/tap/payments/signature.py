# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed webhooks, in Stripe's form: `t=SECONDS,v1=HEX`, HMAC-SHA256 over `SECONDS.BODY`.

Contract: https://docs.stripe.com/webhooks#verify-manually. The same form signs what this tap sends itself.
"""

from __future__ import annotations

import hashlib
import hmac

from llama_orch_utils.errors import BadRequest

_MOST_SIGNATURES = 16
_LONGEST_HEADER = 4096


def sign(body: bytes, secret: str, at: int) -> str:
    """The header's value for `body`, sent at `at` (Unix seconds)."""
    return f"t={at},v1={_mac(body, secret, at)}"


def verify(body: bytes, header: str, secret: str, *, now: float, tolerance: int) -> None:
    """Raises BadRequest for a missing, a wrong and a stale signature; while a secret is rolled there may be several."""
    pairs = [part.strip().partition("=") for part in header[:_LONGEST_HEADER].split(",")]
    stamps = [value for name, _, value in pairs if name == "t"]
    given = [value for name, _, value in pairs if name == "v1"][:_MOST_SIGNATURES]
    if len(stamps) != 1 or not stamps[0].isascii() or not stamps[0].isdigit() or len(stamps[0]) > 12 or not given:  # noqa: PLR2004 - digits of a moment
        raise _bad("the webhook carries no signature that can be read")
    at = int(stamps[0])
    expected = _mac(body, secret, at).encode()
    matches = [hmac.compare_digest(expected, each.encode("utf-8", "replace")) for each in given]
    if not any(matches):
        raise _bad("the webhook's signature is wrong")
    if abs(now - at) > tolerance:
        raise _bad(f"the webhook was signed {now - at:.0f} s ago: it is refused after {tolerance}")


def _mac(body: bytes, secret: str, at: int) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def _bad(message: str) -> BadRequest:
    return BadRequest(message, code="invalid_signature")

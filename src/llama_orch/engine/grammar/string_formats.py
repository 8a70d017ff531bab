# SPDX-License-Identifier: GPL-3.0-or-later
"""Formats of strings: which llguidance holds, and patterns of those that it holds too loosely or not at all.

Days that a month does not have and leap seconds are not written (RFC 3339 as ISO 8601 libraries read it). Where a
narrower format is the same for every value of it, that one is held: each URI is an IRI and a URI reference.
"""

from __future__ import annotations

_LEAP = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29".replace(r"\d", "[0-9]")
_DAY = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_YEAR = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"  # libraries begin with the year 1
_DATE = f"(?:{_YEAR}-{_DAY}|{_LEAP.replace('(?:[02468][048]|', '(?:(?:0[48]|[2468][048])|')})"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_STEP = r"(?:/(?:[^~/]|~[01])*)*"

PATTERNS = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}T{_TIME}$",
    "json-pointer": f"^{_STEP}$",
    "relative-json-pointer": f"^(?:0|[1-9][0-9]{{0,8}})(?:#|{_STEP})$",
    "byte": "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
}
"""By name, as regular expressions of ECMA-262 over the whole string; the last is OpenAPI's base64."""

NARROWER = {
    "iri": "uri",
    "uri-reference": "uri",
    "iri-reference": "uri",
    "uri-template": "uri",
    "idn-email": "email",
}

HELD = frozenset(("duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri", "unknown"))
"""What llguidance holds as it is named."""

NOT_OF_STRINGS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**53), 2**53)}
"""OpenAPI's formats of whole numbers, by bounds within them; beyond 53 bits JSON's readers disagree about a number."""

NOTES = frozenset(("float", "double", "password", "binary"))
"""OpenAPI's formats that restrict nothing."""

IDIOMS = {
    # pydantic's Decimal: a look-ahead that asks for a digit somewhere
    r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$": r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$",
}
"""Patterns that libraries write and that can be said without what cannot be held."""

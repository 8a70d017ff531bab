# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plain web server says about a file before it is fetched: size, version, and, if it is a good one, digest."""

from __future__ import annotations

import base64
import binascii
import re
import time
from dataclasses import replace

from llama_orch.models.download import Patience, RemoteFile, Web
from llama_orch.models.download.fetch import validator_of
from llama_orch.models.download.refusal import refusal
from llama_orch.models.download.trouble import Broken
from llama_orch.models.download.web import Answer

# RFC 9530, section 3: `Repr-Digest: sha-256=:BASE64:`; RFC 3230 before it: `Digest: sha-256=BASE64`.
_STATED = re.compile(r"sha-256=:?([A-Za-z0-9+/]{43}=):?(?:,|$)", re.IGNORECASE)
_LINKED = re.compile(r'"?([0-9a-f]{64})"?')
_NO_HEAD = frozenset({400, 403, 405, 501})
_TOTAL = re.compile(r"bytes 0-0/([0-9]{1,18})")
_OK, _PART = 200, 206
_LONGEST_WAIT = 10.0


def probe(web: Web, file: RemoteFile, patience: Patience) -> RemoteFile:
    """`file` with what its server says of it. A server that refuses HEAD is asked for the first byte instead."""
    attempt = 0
    while True:
        try:
            with web.ask(file.way, "HEAD") as answer:
                if answer.status == _OK:
                    return _filled(file, answer, answer.number("content-length"))
                if answer.status not in _NO_HEAD:
                    raise refusal(answer, file.way, file.name)
            with web.ask(file.way, headers={"range": "bytes=0-0"}) as answer:
                if answer.status not in {_OK, _PART}:
                    raise refusal(answer, file.way, file.name)
                found = _TOTAL.fullmatch(answer.header("content-range") or "")
                total = int(found[1]) if found else None
                return _filled(file, answer, total if answer.status == _PART else answer.number("content-length"))
        except Broken as trouble:
            attempt += 1
            if attempt > min(patience.retries, 2) or (trouble.after or 0) > _LONGEST_WAIT:
                raise trouble.error from trouble
            time.sleep(patience.before(attempt, trouble.after))


def _filled(file: RemoteFile, answer: Answer, size: int | None) -> RemoteFile:
    return replace(file, size=size, digest=file.digest or _stated(answer), validator=validator_of(answer))


def _stated(answer: Answer) -> str | None:
    """The SHA-256 that the server states for the whole file."""
    found = _STATED.search(answer.header("repr-digest") or answer.header("digest") or "")
    if found is not None:
        try:
            return base64.b64decode(found[1], validate=True).hex()
        except binascii.Error:
            return None
    linked = _LINKED.fullmatch(answer.header("x-linked-etag") or answer.linked.get("x-linked-etag", ""))
    return linked[1] if linked else None

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fuzzes the request parsers: what is no request is refused by a typed 4xx, and whatever else, nothing breaks.

    fuzz_requests.py [--seconds 60] [--seed N]          the parsers of all dialects, in this process
    fuzz_requests.py --url http://127.0.0.1:8080 --key K the same bodies, and broken HTTP around them, over a socket

Each round prints its seed first; with `--seed` that round is done again, alone.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from llama_orch.tap import routes as tap_routes
from llama_orch.tap.wanted import model_of
from llama_orch.wire.routes import load
from llama_orch_utils.errors import OrchError

TARGETS = tuple(route for route in tap_routes.ROUTES if route.method == "POST" and route.dialect and route.job)
EXAMPLES = 300

_WORDS = (
    "model messages role content type text image_url url tools function name parameters tool_choice tool_calls id "
    "arguments tool_call_id stream stream_options include_usage n stop seed max_tokens max_completion_tokens "
    "max_output_tokens temperature top_p top_k min_p logprobs top_logprobs logit_bias response_format json_schema "
    "schema strict prompt suffix echo input instructions previous_response_id store background include system "
    "thinking budget_tokens stop_sequences metadata options num_predict num_ctx format images raw template "
    "context keep_alive think query documents top_n return_documents encoding_format dimensions tokens "
    "add_special with_pieces reasoning effort reasoning_effort user parallel_tool_calls input_schema source "
    "media_type data cache_control properties required items enum $ref anyOf prefill grammar "
)
_KEYS = sorted({*_WORDS.split()})
_TEXTS = st.one_of(
    st.sampled_from(
        ["", "user", "assistant", "system", "tool", "function", "auto", "json_object", "\x00", "\r\n", "😀", "-1"]
    ),
    st.text(max_size=12),
    st.sampled_from(
        ["x" * 70_000, "../../etc/passwd", "</s><|im_start|>", "{{ 7 * 7 }}", "data:image/png;base64,AAAA"]
    ),
)
_NUMBERS = st.one_of(
    st.integers(-3, 5),
    st.sampled_from([2**31, 2**63, -(2**63), 2**64, 10**30, -1, 1e308, -1e308, 0.1, -0.0, 1.5]),
    st.floats(allow_nan=False, allow_infinity=False),
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(_KEYS), _TEXTS), inner, max_size=6)
    ),
    max_leaves=12,
)
_MESSAGE = st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "name", "thinking"]), _VALUES, max_size=4)
_TALK = {"messages": st.lists(st.one_of(_MESSAGE, _VALUES), max_size=4), "input": _VALUES, "prompt": _VALUES}
_BODY = st.one_of(
    st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=8),
    st.builds(dict[str, Any], **_TALK),  # pyright: ignore[reportArgumentType]
    st.fixed_dictionaries(
        {"messages": st.just([{"role": "user", "content": "x"}])},
        optional={key: _VALUES for key in _KEYS if key != "messages"},
    ),
    _VALUES,
)
_NASTY = (
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b'"a":1,',
    b"\\ud800",
    b"[" * 200,
    b"0" * 400,
)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The same bytes after some accidents."""
    found = bytearray(data)
    for _ in range(chance.choice((0, 0, 1, 1, 2, 5))):
        at = chance.randrange(len(found) + 1)
        match chance.randrange(5):
            case 0:
                found[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del found[at : at + chance.randrange(1, 20)]
            case 2:
                found[at:at] = chance.choice(_NASTY)
            case 3:
                found[at:at] = found[at : at + chance.randrange(40)]
            case _:
                del found[at:]
    return bytes(found)


def check(path: str, body: bytes) -> None:
    """One body at one parser: a record, or an error that the client can read. Anything else is a defect."""
    route = next(route for route in TARGETS if route.path == path)
    dialect = load(route.dialect)
    try:
        model_of(body)
        dialect.parse(body)
    except OrchError as error:
        refused = error
    else:
        return
    assert 400 <= refused.status < 500, f"{path}: {refused.status} for {body[:300]!r}"
    assert refused.message
    json.loads(dialect.failure(refused))


def round_of(number: int, examples: int) -> None:
    """One round of the parsers with one seed."""

    @seed(number)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[*HealthCheck],
    )
    @given(value=_BODY, path=st.sampled_from([route.path for route in TARGETS]), accidents=st.integers(0, 2**32))
    def run(value: Any, path: str, accidents: int) -> None:
        check(
            path,
            mutated(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"), random.Random(accidents)),
        )

    run()


def requests(number: int, key: str, count: int) -> list[bytes]:
    """HTTP requests, most of them broken."""
    chance, bodies = random.Random(number), [b'{"messages":[{"role":"user","content":"x"}],"max_tokens":1}']
    found: list[bytes] = []
    for _ in range(count):
        body = mutated(chance.choice(bodies), chance)
        head = f"POST {chance.choice(TARGETS).path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        found.append(mutated(head.encode(), chance) + body)
    return found


def fire(address: tuple[str, int], data: bytes) -> int:
    """Sends one and gives the status of the first answer; 0 where the server closed without one."""
    with socket.create_connection(address, timeout=30) as connection:
        raw = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65536):
                raw += part
        except ConnectionError:
            return 0
    if not raw:
        return 0
    statuses: list[int] = []
    while raw:  # an accident may make two requests of one
        head, _, rest = raw.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        assert 200 <= status < 500, (data[:300], raw[:300])
        statuses.append(status)
        if status < 400:
            break
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        assert json.loads(rest[:size]), (data[:300], raw[:300])
        raw = rest[size:]
    return statuses[0]


def main() -> int:
    """By hand, for as long as one likes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--url")
    parser.add_argument("--key", default="")
    told = parser.parse_args()
    until = time.monotonic() + told.seconds
    while True:
        number = random.SystemRandom().randrange(2**32) if told.seed is None else told.seed
        print(f"seed {number}", flush=True)
        if told.url:
            parts = urlsplit(told.url)
            for data in requests(number, told.key, EXAMPLES):
                fire((parts.hostname or "", parts.port or 80), data)
        else:
            round_of(number, EXAMPLES)
        if told.seed is not None or time.monotonic() > until:
            return 0


if __name__ == "__main__":
    sys.exit(main())

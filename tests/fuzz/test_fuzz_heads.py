# SPDX-License-Identifier: GPL-3.0-or-later
"""Some seconds of what `scripts/fuzz_heads.py` does for long, against a real `orch serve`.

The long run: FUZZ_HEADERS=1000000 pytest tests/fuzz -n 0 --timeout 3600
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from seeds import fresh_seed
from serve_process import serving

import fuzz_heads

HEADERS = int(os.environ.get("FUZZ_HEADERS", "12000"))


def test_the_heads_of_requests(orch_home: Path, tiny_gguf: Path) -> None:
    seed = fresh_seed()
    with serving("-m", str(tiny_gguf)) as served:
        place = urlsplit(served.url)
        assert served.key is not None
        tally = fuzz_heads.run((place.hostname or "", place.port or 0), served.key, seed, HEADERS)
        print(tally)
        assert tally.cases > HEADERS // 400
        assert tally.statuses[200]
        assert tally.statuses[400]
        assert served.chat("tiny")[0] == 200
        assert "Traceback" not in served.errors.read_text()
        assert "defect" not in served.errors.read_text()


def test_a_seed_gives_the_same_cases() -> None:
    assert [fuzz_heads.case_of(random.Random(7), "k") for _ in range(3)] == [
        fuzz_heads.case_of(random.Random(7), "k")
    ] * 3


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nx-orch-request-id: a\r\n\r\n", "status 500"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\nx-orch-request-id: a\r\n\r\n{}", "cut short"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "no id"),
        (b"HTTP/1.1 200 OK\r\nx: fuzzed-Xq7\r\nx-orch-request-id: a\r\ncontent-length: 0\r\n\r\n", "comes back"),
        (b"HTTP/1.1 200 OK\r\nx: 1\r\nX: 2\r\n\r\n", "twice"),
        (b"HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n", "header"),
        (b"nonsense\r\n\r\n", "no status line"),
    ],
)
def test_an_answer_that_must_not_be_is_seen(raw: bytes, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        fuzz_heads._answer(raw, fuzz_heads.Case(b"", 0, "GET", True))

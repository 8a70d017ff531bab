# SPDX-License-Identifier: GPL-3.0-or-later
"""Some seconds of what `scripts/fuzz_requests.py` does for long by hand."""

from __future__ import annotations

from collections import Counter

from gateway_process import Gateway
from seeds import fresh_seed

import fuzz_requests


def test_the_parsers_of_all_dialects() -> None:
    seed = fresh_seed()
    print(f"seed {seed}")
    fuzz_requests.round_of(seed, 80)


def test_broken_http(gateway: Gateway) -> None:
    seed = fresh_seed()
    print(f"seed {seed}")
    assert gateway.key is not None
    sent = fuzz_requests.requests(seed, gateway.key, 300)
    statuses = Counter(fuzz_requests.fire(gateway.address, data) for data in sent)
    print(statuses)
    assert statuses[400] > 50
    assert gateway.chat(max_tokens=1).status == 200
    assert "defect" not in gateway.log

# SPDX-License-Identifier: GPL-3.0-or-later
"""The metrics of several gateway processes as one: the kernel decides which of them a scrape meets."""

from __future__ import annotations

from collections.abc import Sequence

_SHARED = ("llama_orch_model", "llama_orch_worker", "process_start_time", "process_max_fds")
"""What every process says of the same thing (the one pool of workers, a limit): the largest counts, not the sum."""


def added(expositions: Sequence[bytes]) -> bytes:
    """Expositions in Prometheus' text format, sample by sample; what only one of them has stays as it is."""
    if len(expositions) == 1:
        return expositions[0]
    values: dict[bytes, float] = {}
    families: dict[bytes, list[bytes]] = {}
    heads: dict[bytes, list[bytes]] = {}
    for exposition in expositions:
        family = b""
        for line in exposition.splitlines():
            if line.startswith(b"# "):
                family = line.split(b" ", 3)[2]
                head = heads.setdefault(family, [])
                if line not in head:
                    head.append(line)
            elif line:
                series, _, value = line.rpartition(b" ")
                if series not in values:
                    families.setdefault(family, []).append(series)
                values[series] = _together(series, values.get(series), float(value))
    lines = [line for family, series in families.items() for line in (*heads[family], *_samples(series, values))]
    return b"\n".join(lines) + b"\n"


def _samples(series: Sequence[bytes], values: dict[bytes, float]) -> list[bytes]:
    return [b"%b %b" % (each, repr(values[each]).encode()) for each in series]


def _together(series: bytes, one: float | None, other: float) -> float:
    if one is None:
        return other
    return max(one, other) if series.startswith(tuple(each.encode() for each in _SHARED)) else one + other

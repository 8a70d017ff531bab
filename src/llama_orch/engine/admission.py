# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a request gets in, whose prefix it takes, and which sequence id it gets."""

from __future__ import annotations

from collections.abc import Sequence as Many

from llama_orch.engine.context import Dimensions
from llama_orch.engine.residency import Residency
from llama_orch.engine.resident import Match, Resident
from llama_orch.engine.sequence import Phase, Sequence

_RESERVE = 64
"""Cells for tokens to come that a request is promised when it gets in (fewer if it may say less)."""
_EXPENDABLE = 32
"""A waiting conversation that loses no more than this many tokens is taken over, not copied."""


def admit(sequence: Sequence, residency: Residency, active: Many[Sequence], dimensions: Dimensions) -> bool:
    """Gives `sequence` its place, or the prefix to wait for; False if it does not fit now."""
    match = residency.match(sequence.tokens, sequence.salt) if sequence.request.cache else None
    follows = match is not None and match.planned > match.ready
    to_come = min(_RESERVE, sequence.limit - len(sequence.output))
    target = min(len(sequence.tokens) + to_come, dimensions.context)
    if not _fits(target, match, residency, active):
        return False
    sequence.target = target
    if match is not None and follows:
        sequence.phase, sequence.leader, sequence.shared = Phase.FOLLOWING, match.resident, match.planned
    else:
        _settle(sequence, match, residency)
    return True


def follow(sequence: Sequence, residency: Residency) -> None:
    """Takes the leader's prefix once it is computed; looks again if the leader has gone."""
    leader = sequence.leader
    if leader is not None and leader.active and leader.ready < sequence.shared <= leader.planned:
        return
    match = residency.match(sequence.tokens, sequence.salt)
    if match is not None and match.planned > match.ready and match.resident is not leader:
        sequence.leader, sequence.shared = match.resident, match.planned
        return
    _settle(sequence, match, residency)


def _fits(target: int, match: Match | None, residency: Residency, active: Many[Sequence]) -> bool:
    """The last request of all always fits: no sequence may hold more than there are cells."""
    if not active:
        return True
    shared = match.planned if match is not None and match.resident.active and residency.shares_cells else 0
    promised = sum(other.claim() for other in active)
    return target - shared + promised + residency.held_by_active() <= residency.capacity


def _settle(sequence: Sequence, match: Match | None, residency: Residency) -> None:
    """The sequence gets cells: those it found, as they are or shared, and an id."""
    resident, length = _take(match, residency)
    residency.occupy(resident, sequence.tokens, length, sequence.salt)
    sequence.resident, sequence.leader, sequence.shared = resident, None, 0
    sequence.phase = Phase.PREFILL
    if not sequence.started:
        sequence.cached = resident.ready


def _take(match: Match | None, residency: Residency) -> tuple[Resident, int]:
    source = match.resident if match is not None and match.ready else None
    vacant = residency.vacant(avoid=source)
    assert vacant is not None, "there are at least as many ids as slots"
    if match is None or source is None:
        return vacant, 0
    if not source.active and (source.ready - match.ready <= _EXPENDABLE or vacant is source):
        return source, match.ready
    if not residency.make_room(0 if residency.shares_cells else match.ready, spare=source):
        return vacant, 0
    residency.fork(source, vacant, match.ready)
    return vacant, match.ready

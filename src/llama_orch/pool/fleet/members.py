# SPDX-License-Identifier: GPL-3.0-or-later
"""The members of a fleet, by what they are called now, and those that are on their way out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine
from typing import Any

from llama_orch.models.stored_model import StoredModel
from llama_orch.pool.fleet.catalogue import Catalogue
from llama_orch.pool.fleet.member import Member
from llama_orch.pool.fleet.room import IDLE_GRACE
from llama_orch_utils.errors import ModelNotFound

_CHECK_SECONDS = 1.0


class Members:
    """`pinned` ids are never swapped out; `changed` hears each member, `spawn` runs what need not be waited for."""

    def __init__(
        self,
        catalogue: Catalogue,
        pinned: Collection[str],
        changed: Callable[[Member], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._catalogue, self._pinned = catalogue, pinned
        self._changed, self._spawn = changed, spawn
        self._members: dict[str, Member] = {}
        self._names: dict[str | None, str] = {}
        self._leaving: list[Member] = []

    def current(self) -> list[Member]:
        """Those that can be asked for."""
        return list(self._members.values())

    def all(self) -> list[Member]:
        """Those whose worker may take memory."""
        return [*self._members.values(), *self._leaving]

    def of(self, name: str | None) -> Member:
        """The member that `name` means; what the store says now is looked at once a second.

        Raises ModelNotFound with near misses.
        """
        known = self._members.get(self._names.get(name, ""))
        if known is not None and time.monotonic() - known.checked < _CHECK_SECONDS:
            return known
        try:
            stored = self._catalogue.find(name)
        except ModelNotFound:
            if known is not None:  # it was removed while we served it
                del self._members[known.stored.id]
                self._spawn(self._see_off(known))
            raise
        member = self.join(stored)
        self._names[name] = stored.id
        member.checked = time.monotonic()
        return member

    def standing_for(self, stored: StoredModel) -> Member | None:
        """The member of just this file, if there is one."""
        member = self._members.get(stored.id)
        return member if member is not None and member.stored == stored else None

    def join(self, stored: StoredModel) -> Member:
        """The member of `stored`, a new one where there is none or its name stood for another file."""
        member = self._members.get(stored.id)
        if member is None or (member.stored != stored and member.state != "loading"):
            if member is not None and member.worker is not None:
                self._spawn(self._see_off(member))
            member = Member(stored, pinned=stored.id in self._pinned, changed=self._changed, spawn=self._spawn)
            self._members[stored.id] = member
        return member

    async def _see_off(self, member: Member) -> None:
        """Ends the worker of a member that nobody can ask for any more, once its leases have ended."""
        self._leaving.append(member)
        member.hold(held=True)
        if member.load is not None:
            await asyncio.wait([member.load])
        while member.active:
            await member.change()
        await member.unload(IDLE_GRACE)
        self._leaving.remove(member)

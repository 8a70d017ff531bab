# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose key a request carries, as the ledger knows it at this moment.

A key is an id and a secret (`sk-orch-ID-SECRET`). The id is looked up as a parameter, never as a part of a query; of
the secret only a hash is stored, and compared in constant time, also where there is no such id: neither the answer nor
its time tells which ids exist.
"""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Protocol

from llama_orch.ledger.books import token
from llama_orch.tap.call import Client
from llama_orch_utils.errors import NotAllowed, NotAuthorised

if TYPE_CHECKING:
    from collections.abc import Callable

    from llama_orch.ledger.ledger import Ledger
    from llama_orch.ledger.records import KeyRecord

_NOBODY = bytes(32)
_REMEMBERED = 1.0
"""Seconds. Limits of a key that only the gateway looks at (its addresses) may take so long to change."""
_MOST = 4096


class Authority(Protocol):
    """Knows keys."""

    async def client(self, given: bytes, host: str, *, fresh: bool = True) -> Client:
        """Whose key `given` is, coming from the address `host`. Raises NotAuthorised, NotAllowed.

        `fresh` False: what was known of it a moment ago will do, for its admission looks again.
        """
        ...

    async def operator(self, given: bytes, host: str) -> Client:
        """The same for the keys of the operator's own."""
        ...


class LedgerAuthority:
    """The keys of a ledger. What was revoked a moment ago, by whichever process, is refused.

    A request that will be admitted needs no look-up of its own: the reservation reads the key in the same transaction
    in which it takes the money, and refuses one that was revoked.
    """

    def __init__(self, ledger: Ledger, *, clock: Callable[[], float] = time.time) -> None:
        self._ledger, self._clock = ledger, clock
        self._known: OrderedDict[str, tuple[float, Client]] = OrderedDict()

    async def client(self, given: bytes, host: str, *, fresh: bool = True) -> Client:
        """As `Authority.client`."""
        found = token.split(given)
        client = None if found is None else await self._known_as(found[0], fresh=fresh)
        record = None if client is None else client.record
        digest = _NOBODY if found is None else found[1]
        known = _NOBODY if record is None else record.digest
        right = hmac.compare_digest(digest, known)
        if client is None or record is None or not right:
            raise NotAuthorised("the key is wrong", hint="send the key that orch tap key add showed once")
        self._check(record, host)
        return client

    async def operator(self, given: bytes, host: str) -> Client:  # noqa: ARG002 - an operator may come from anywhere
        """As `Authority.operator`."""
        from llama_orch.tap.admin.keys import is_operator

        if not await is_operator(self._ledger, given):
            raise NotAuthorised("this is for the operator's keys", hint="send the key that orch tap init showed once")
        return Client("operator")

    async def _known_as(self, key: str, *, fresh: bool) -> Client | None:
        known = self._known.get(key)
        if not fresh and known is not None and time.monotonic() - known[0] < _REMEMBERED:
            return known[1]
        record = await self._ledger.key(key)
        if record is None:
            self._known.pop(key, None)
            return None
        client = Client(record.id, account=record.account, record=record)
        self._known[key] = time.monotonic(), client
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return client

    def _check(self, record: KeyRecord, host: str) -> None:
        """What only the holder of the right secret is told."""
        if record.revoked:
            raise NotAuthorised("the key was revoked", hint="ask the operator for another one", code="key_revoked")
        if record.expires_at is not None and self._clock() >= record.expires_at:
            raise NotAuthorised("the key has expired", hint="ask the operator for another one", code="key_expired")
        if record.networks and not _within(host, record.networks):
            raise NotAllowed(
                f"the key may not be used from {host or 'here'}",
                hint="ask the operator to allow this address for the key",
                code="address_not_allowed",
            )


def _within(host: str, networks: tuple[str, ...]) -> bool:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in ip_network(network, strict=False) for network in networks)

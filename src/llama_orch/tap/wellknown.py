# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /.well-known/llama-orch`: what this tap is, for `orch target add` and anybody else. Needs no key.

`{"version": 1, "mode", "name", "terms", "currency", "api", "dialects", "models": [{"id", "state", "context",
"capabilities", "pricing"}]}`. `state` is as in `GET /v1/models`, `pricing` micro-euros per 1M
tokens (and per GPU-second), or null where nobody can ask yet.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from llama_orch.tap.admin.beside import beside
from llama_orch.tap.admin.keys import books_of
from llama_orch.tap.standing import standing

if TYPE_CHECKING:
    from llama_orch.ledger.books.prices import PriceVersion
    from llama_orch.tap.call import Call
    from llama_orch.tap.config.record import TapConfig, TapModel
    from llama_orch.tap.tap import Tap

_VERSION = 1
_FRESH_SECONDS = 2.0
_FIGURES = ("input", "cached", "output", "embeddings", "gpu_second")


class _Prices:
    """The prices of the tap that this process serves, read at most every two seconds: the path is public."""

    def __init__(self) -> None:
        self._url, self._read_at = "", 0.0
        self._held: dict[str, PriceVersion] = {}

    async def of(self, config: TapConfig) -> dict[str, PriceVersion]:
        """By model. Raises LedgerAway."""
        now = time.monotonic()
        if self._url != config.database or now - self._read_at > _FRESH_SECONDS:
            self._held = await beside(_current, config)
            self._url, self._read_at = config.database, now
        return self._held


_prices = _Prices()


async def handle(tap: Tap, call: Call) -> None:
    """The description. Raises LedgerAway while the prices cannot be read."""
    assert tap.config is not None, "only a tap has this route"
    found = described(tap, tap.config, await prices_of(tap.config))
    headers = [(b"cache-control", b"public, max-age=60")]
    await call.reply(200, json.dumps(found, ensure_ascii=False).encode(), headers)


async def prices_of(config: TapConfig) -> dict[str, PriceVersion]:
    """The prices that hold, by model (`*`: every other), at most two seconds old. Raises LedgerAway."""
    return await _prices.of(config)


def pricing(price: PriceVersion | None, currency: str) -> dict[str, object] | None:
    """A price as clients are shown it; None where there is none."""
    return None if price is None else {"currency": currency, **{name: getattr(price, name) for name in _FIGURES}}


def described(tap: Tap, config: TapConfig, prices: dict[str, PriceVersion]) -> dict[str, object]:
    """The description of `config` with the prices that hold."""
    return {
        "version": _VERSION,
        "mode": config.mode,
        "name": config.name,
        "terms": config.terms,
        "currency": config.currency,
        "api": "/v1",
        "dialects": _dialects() if config.gateway else [],
        "models": [_model(tap, each, prices, config.currency) for each in config.models] if config.gateway else [],
    }


def _model(tap: Tap, model: TapModel, prices: dict[str, PriceVersion], currency: str) -> dict[str, object]:
    here = next((each for each in tap.fleet.models() if each.id == model.name), None)
    context = model.context or (None if here is None else here.context or here.context_train)
    return {
        "id": model.name,
        "state": _state(tap, model),
        "context": context,
        "capabilities": list(model.capabilities or (() if here is None else here.capabilities)),
        "pricing": pricing(prices.get(model.name) or prices.get("*"), currency),
    }


def _state(tap: Tap, model: TapModel) -> str:
    routed = None if tap.routing is None else next((each for each in tap.routing.all() if each.spec is model), None)
    return standing(model, tap.fleet.models()) if routed is None else routed.standing(tap.fleet.models())


def _dialects() -> list[str]:
    """The names of the dialects that generate or embed, as the folders of `wire` are called."""
    from llama_orch.wire.routes import ROUTES

    named = [each.dialect.partition(":")[0].rpartition(".")[2] for each in ROUTES if each.job in {"generate", "embed"}]
    return list(dict.fromkeys(named))


def _current(config: TapConfig) -> dict[str, PriceVersion]:
    from llama_orch.ledger.books import prices

    book = books_of(config, "wellknown")
    with book.reading() as connection:
        return prices.current(connection, book.clock())

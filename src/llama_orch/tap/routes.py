# SPDX-License-Identifier: GPL-3.0-or-later
"""Every path of the gateway, as data: what it answers itself, and what it hands on to a worker.

`SERVE` is the table of `orch serve`; `TAP` that of a gateway with accounts, which has more and guards some better;
`ROUTED` is without accounts; `CLOSED` that of a tap whose inference is turned off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from llama_orch.wire import routes as wire

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

Handler = Callable[["Tap", "Call"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class TapRoute:
    """`path` may hold one `*` for one or more characters (a model's id holds slashes).

    `handler` is `module:attribute`, loaded on first use: `async def handle(tap, call)`. `dialect` renders the errors
    (`module:attribute`, empty: OpenAI's form). `job` is the wire's name for what a worker does with it, empty where the
    gateway answers itself. A `public` path needs no key, or asks for one of another kind itself. An `operator` path
    tells what belongs to no single account: a tap gives it to the operator's keys only.
    """

    method: str
    path: str
    handler: str
    dialect: str = ""
    job: str = ""
    public: bool = False
    operator: bool = False


_RESPONSES = "llama_orch.wire.responses:DIALECT"
_OLLAMA = "llama_orch.wire.ollama_chat:DIALECT"
_RELAYED = "llama_orch.tap.relay:handle"

_OWN: tuple[TapRoute, ...] = (
    TapRoute("GET", "/", "llama_orch.tap.ollama.root:handle", public=True),
    TapRoute("HEAD", "/", "llama_orch.tap.ollama.root:handle", public=True),
    TapRoute("GET", "/health", "llama_orch.tap.status:health", public=True),
    TapRoute("GET", "/ready", "llama_orch.tap.status:ready", public=True),
    TapRoute("GET", "/metrics", "llama_orch.tap.metrics:handle", operator=True),
    TapRoute("GET", "/openapi.json", "llama_orch.tap.openapi:handle", public=True),
    TapRoute("GET", "/v1/models", "llama_orch.tap.models:listing"),
    TapRoute("GET", "/v1/models/*", "llama_orch.tap.models:one"),
    TapRoute("GET", "/v1/applets", "llama_orch.tap.applets:listing"),
    TapRoute("POST", "/v1/applets/*", "llama_orch.tap.applets:run"),
    TapRoute("POST", "/v1/responses", "llama_orch.tap.responses:create", _RESPONSES, "generate"),
    TapRoute("POST", "/v1/responses/input_tokens", "llama_orch.tap.responses:input_tokens", _RESPONSES, "count"),
    TapRoute("POST", "/v1/responses/*/cancel", "llama_orch.tap.responses:cancel", _RESPONSES),
    TapRoute("GET", "/v1/responses/*/input_items", "llama_orch.tap.responses:input_items", _RESPONSES),
    TapRoute("GET", "/v1/responses/*", "llama_orch.tap.responses:retrieve", _RESPONSES),
    TapRoute("DELETE", "/v1/responses/*", "llama_orch.tap.responses:delete", _RESPONSES),
    TapRoute("GET", "/api/tags", "llama_orch.tap.ollama.tags:handle", _OLLAMA),
    TapRoute("GET", "/api/ps", "llama_orch.tap.ollama.ps:handle", _OLLAMA),
    TapRoute("GET", "/api/version", "llama_orch.tap.ollama.version:handle", _OLLAMA),
    TapRoute("POST", "/api/show", "llama_orch.tap.ollama.show:handle", _OLLAMA),
)


def _relayed() -> tuple[TapRoute, ...]:
    """The wire's routes that a worker answers; those the gateway has itself stay its own."""
    taken = {(route.method, route.path) for route in _OWN}
    return tuple(
        TapRoute(route.method, route.path, _RELAYED, route.dialect, route.job)
        for route in wire.ROUTES
        if route.dialect and (route.method, route.path) not in taken
    )


class Routes:
    """A table, in order of precedence where patterns overlap."""

    def __init__(self, routes: tuple[TapRoute, ...]) -> None:
        self.all = routes
        self._patterns = tuple(route for route in routes if "*" in route.path)
        self._exact: dict[str, tuple[TapRoute, ...]] = {}
        for route in routes:
            if "*" not in route.path:
                self._exact[route.path] = (*self._exact.get(route.path, ()), route)

    def matching(self, path: str) -> tuple[TapRoute, ...]:
        """All routes of `path`, whatever their method; none for an unknown path.

        An exact path beats a pattern, one that goes on after its `*` beats one that ends there (a stored response's
        `…/cancel` is no id), and the first pattern of a method the later ones.
        """
        exact = self._exact.get(path)
        if exact is not None:
            return exact
        fitting = [route for route in self._patterns if _fits(route.path, path)]
        closer = [route for route in fitting if not route.path.endswith("*")]
        found: dict[str, TapRoute] = {}
        for route in closer or fitting:
            found.setdefault(route.method, route)
        return tuple(found.values())


ROUTES: tuple[TapRoute, ...] = (*_OWN, *_relayed())
"""What `orch serve` answers."""

ACCOUNTS: tuple[TapRoute, ...] = (
    TapRoute("GET", "/v1/credits", "llama_orch.tap.credits:balance"),
    TapRoute("GET", "/v1/key", "llama_orch.tap.credits:key"),
    TapRoute("GET", "/v1/usage", "llama_orch.tap.credits:usage"),
)
"""What an account may know of itself."""
ROUTING: tuple[TapRoute, ...] = (
    TapRoute("GET", "/v1/routes/status", "llama_orch.tap.routing.status:handle", operator=True),
)
"""What the operator of a tap may know of the ways to its models."""
_ADMIN = "llama_orch.tap.admin:handle"
_OPERATOR: tuple[TapRoute, ...] = (
    TapRoute("GET", "/.well-known/llama-orch", "llama_orch.tap.wellknown:handle", public=True),
    TapRoute("POST", "/v1/webhooks/stripe", "llama_orch.tap.payments:handle", public=True),
    TapRoute("POST", "/v1/vouchers", "llama_orch.tap.payments.redeeming:handle"),
    TapRoute("GET", "/admin/v1", _ADMIN, public=True),
    *(TapRoute(method, "/admin/v1/*", _ADMIN, public=True) for method in ("GET", "POST", "PATCH", "DELETE")),
)
_ALWAYS = frozenset(("/", "/health", "/ready", "/metrics", "/openapi.json"))

SERVE = Routes(ROUTES)
ROUTED = Routes((*ROUTING, *ROUTES))
TAP = Routes((*_OPERATOR, *ACCOUNTS, *ROUTING, *ROUTES))
CLOSED = Routes((*_OPERATOR, *ACCOUNTS, *(route for route in ROUTES if route.path in _ALWAYS)))


def argument(route: TapRoute, path: str) -> str:
    """What stands for the `*` of the route's path."""
    before, _, after = route.path.partition("*")
    return path[len(before) : len(path) - len(after)]


@cache
def load(handler: str) -> Handler:
    """The handler behind `module:attribute`."""
    module, _, attribute = handler.partition(":")
    return cast("Handler", getattr(import_module(module), attribute))


def _fits(pattern: str, path: str) -> bool:
    before, _, after = pattern.partition("*")
    return path.startswith(before) and path.endswith(after) and len(path) > len(before) + len(after)

# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap serve`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.options import Printing, argument, option

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.tap.config.record import TapConfig

_KEYS = {
    "url": "where it serves",
    "base_url": "the same for OpenAI clients (OPENAI_BASE_URL)",
    "models": "what it serves",
    "failed": "the models that it was to serve and could not load, each with the reason",
    "pid": "the process that SIGHUP and SIGTERM go to",
}


@dataclass(frozen=True, kw_only=True)
class Serve(Printing):
    """Serve a tap: one gateway process per core on one port, the local workers under it.

    Prints one line when it is ready. SIGHUP reads tap.toml again, SIGTERM lets running answers end.
    """

    dir: str | None = argument("DIR", help="the tap's folder; ORCH_TAP_DIR or here, if left out", required=False)
    host: str | None = option("--host", value="H", help="the address to listen on, instead of the file's")
    port: int | None = option(
        "--port", value="N", kind=int, bounds=(0, 65535), help="the port, instead of the file's; 0: any free one"
    )
    processes: int | None = option(
        "--processes", value="N", kind=int, bounds=(1, 1024), help="gateway processes; as many as there are cores"
    )


def serve(options: Serve, out: Output) -> int:
    """Serve until told to end."""
    from llama_orch.cli.tap.installed import check

    check()
    from llama_orch.cli.tap.announcing import Announcement
    from llama_orch.tap.config.folder import existing
    from llama_orch.tap.config.reading import read
    from llama_orch.tap.founding import check_current
    from llama_orch.tap.supervisor import serve_tap

    config = read(existing(options.dir))
    check_current(config)
    _remind(config, out)
    return serve_tap(config, Announcement(out), host=options.host, port=options.port, processes=options.processes)


def _remind(config: TapConfig, out: Output) -> None:
    """What would make every request fail is said at once."""
    if not config.models and config.gateway:
        out.warn(f"{config.name} has no model", "orch tap upstream add MODEL URL")
        return
    from llama_orch.ledger.books import prices
    from llama_orch.ledger.books.book import Book

    with Book.open(config.database, actor="serve") as book:
        priced = {each.model for each in prices.listing(book)}
    without = [] if "*" in priced else [each.name for each in config.models if each.name not in priced]
    if without:
        out.warn(
            f"without a price nobody can ask {', '.join(without)}",
            f"orch tap price set {without[0]} --input N --output N",
        )


SERVE = Command(
    "tap serve",
    Serve,
    serve,
    ("orch tap serve mytap", "orch tap serve mytap --host 0.0.0.0 --port 443 --processes 8"),
    _KEYS,
)

# SPDX-License-Identifier: GPL-3.0-or-later
"""`tap.toml` into a `TapConfig`: strict, every error with its line and key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from llama_orch.tap.config import rules
from llama_orch.tap.config.models import address, model_of
from llama_orch.tap.config.place import Source
from llama_orch.tap.config.record import FILE, Mode, TapConfig
from llama_orch.tap.config.section import Section
from llama_orch_utils.config.document import read as read_document
from llama_orch_utils.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

DATABASE_VARIABLE = "ORCH_TAP_DATABASE"
_MODES = ("public", "private")
_CURRENCIES = ("EUR",)
_PORTS = 65535


def read(folder: Path, *, environ: Mapping[str, str] | None = None) -> TapConfig:
    """The tap of `folder`. Raises ConfigError: no such file, no TOML, a value that cannot be meant."""
    path = folder / FILE
    if not path.is_file():
        raise ConfigError(
            f"there is no tap in {folder}: {FILE} is missing", file=str(path), hint=f"orch tap init {folder}"
        )
    text, table = read_document(path)
    top = Section(Source(path, text), table)
    config = _config(folder.absolute(), top, os.environ if environ is None else environ)
    top.done()
    return config


def database_url(text: str, folder: Path) -> str:
    """A database URL; a relative SQLite file lies in the tap's folder. Raises ValueError for what is neither."""
    scheme, marks, rest = text.partition("://")
    if scheme == "sqlite" and marks:
        file = Path(unquote(rest.removeprefix("/")))
        if not rest.startswith("/") or not file.name:
            raise ValueError("names no file: sqlite:///tap.db")
        return f"sqlite:///{quote(str(folder.absolute() / file))}"
    if scheme in {"postgresql", "postgres"} and marks and rest:
        return f"postgresql://{rest}"
    raise ValueError("must be sqlite:///FILE or postgresql://USER@HOST/NAME")


def _config(folder: Path, top: Section, environ: Mapping[str, str]) -> TapConfig:
    listen = top.section("listen")
    mode: Mode = "private" if top.word("mode", _MODES, "public") == "private" else "public"
    config = TapConfig(
        folder=folder,
        mode=mode,
        name=top.text("name") or folder.name,
        database=_database(top.section("database"), folder, environ),
        terms=address(top, "terms"),
        currency=top.word("currency", _CURRENCIES, "EUR"),
        gateway=top.flag("gateway", default=True),
        listen_host=listen.text("host") or "127.0.0.1",
        listen_port=listen.count("port", 8080, 0, _PORTS),
        cert=listen.file("cert", folder),
        key_file=listen.file("key", folder),
        url=address(listen, "url"),
        processes=listen.count("processes", None, 1, 1024),
        hosts=_hosts(listen),
        origins=listen.texts("origins"),
        access_log=listen.file("access_log", folder),
        models=tuple(model_of(name, section, folder) for name, section in top.sections("models")),
        limits=rules.limits_of(top.section("limits")),
        routing=rules.routing_of(top.section("routing")),
        warnings=rules.warnings_of(top.section("warnings")),
        payments=rules.payments_of(top.section("payments")),
        private=rules.private_of(top.section("private"), mode),
        workers=rules.workers_of(top.section("workers")),
        applets=rules.applets_of(top.section("applets")),
    )
    _check_tls(config, listen)
    listen.done()
    return config


def _hosts(listen: Section) -> tuple[str, ...]:
    """The names that are given, and that of `url`: clients are told to use it."""
    url = address(listen, "url")
    own = () if url is None else (urlsplit(url).hostname or "",)
    return tuple(dict.fromkeys((*listen.texts("hosts"), *own)))


def _database(section: Section, folder: Path, environ: Mapping[str, str]) -> str:
    given = section.text("url") or "sqlite:///tap.db"
    section.done()
    other = environ.get(DATABASE_VARIABLE, "").strip()
    try:
        return database_url(other or given, folder)
    except ValueError as error:
        if other:
            raise ConfigError(
                f"{DATABASE_VARIABLE} {error}", key=DATABASE_VARIABLE, hint=f"unset {DATABASE_VARIABLE}"
            ) from error
        raise section.wrong("url", str(error)) from error


def _check_tls(config: TapConfig, listen: Section) -> None:
    if (config.cert is None) != (config.key_file is None):
        key = "key" if config.key_file is None else "cert"
        raise listen.wrong(key, "is missing: TLS needs a certificate and its key")

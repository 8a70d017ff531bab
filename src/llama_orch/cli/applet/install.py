# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet install | upgrade | rm | verify`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llama_orch.cli.applet.showing import KEYS
from llama_orch.cli.command import Command
from llama_orch.cli.options import Printing, argument, flag, option

if TYPE_CHECKING:
    from llama_orch.applets.record import Origin, Record
    from llama_orch.cli.output import Output


@dataclass(frozen=True, kw_only=True)
class Fetching(Printing):
    """Where packages come from."""

    yes: bool = flag("-y", "--yes", help="do not ask; what it may touch is shown all the same")
    find_links: tuple[str, ...] = option(
        "--find-links", help="a folder or a page of packages, besides the index", value="FOLDER", many=True
    )
    index: str | None = option("--index", help="a package index instead of your own", value="URL")
    offline: bool = flag("--offline", help="take packages from --find-links only")
    signer: str | None = option("--signer", help="refuse a bundle that another key signed", value="FINGERPRINT")


@dataclass(frozen=True, kw_only=True)
class Install(Fetching):
    """Install an applet: a wheel, a folder, a bundle, or the name of a package.

    It gets an environment of its own, pinned by hashes in applets.lock, and runs as a process that may touch what its
    manifest asks for and you are shown here. An upgrade of orch leaves it alone.
    """

    source: str = argument("SOURCE", help="a .whl, a folder with pyproject.toml, a bundle, or a package's name",
                           complete="file")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Upgrade(Fetching):
    """Install an applet again from where it came, with the newest packages that it allows.

    Where that fails, the one that is installed stays.
    """

    id: str = argument("ID", help="an applet, as orch applet ls lists it", complete="applet")
    source: str | None = argument("SOURCE", help="another source, from now on", required=False, complete="file")


@dataclass(frozen=True, kw_only=True)
class Rm(Printing):
    """Remove applets that orch applet install installed, with their environments."""

    ids: tuple[str, ...] = argument("ID", help="applets of orch applet ls", many=True, complete="applet")


@dataclass(frozen=True, kw_only=True)
class Verify(Printing):
    """Check that installed applets are what was installed: every file by its hash; a bundle by its signature."""

    names: tuple[str, ...] = argument(
        "ID", help="applets, or a bundle's file (default: all applets)", required=False, many=True, complete="applet"
    )


def install(options: Install, out: Output) -> None:
    """Look at it, show what it asks for, ask, install."""
    from llama_orch.applets import install as installing
    from llama_orch.applets import source
    from llama_orch.cli.applet import showing

    kind = source.kind_of(options.source)
    if kind == "bundle":
        from llama_orch.cli.applet.bundled import install_bundle

        install_bundle(options.source, options.signer, out, yes=options.yes)
        return
    with installing.offered(_origin(options.source, options)) as offer:
        installing.check_free(offer)
        showing.ask(offer.brought, options.source, out, yes=options.yes)
        record = installing.add(offer, out.note)
    showing.told(record, out)
    _remember()


def upgrade(options: Upgrade, out: Output) -> None:
    """The same from the source that is in the lock, or another."""
    from dataclasses import replace

    from llama_orch.applets import install as installing
    from llama_orch.applets import lock
    from llama_orch.cli.applet import showing

    old = lock.find(options.id)
    origin = old.origin
    if options.source is None and origin.kind == "bundle":
        from llama_orch_utils.errors import AppletError

        raise AppletError(
            f"{old.id} came with a bundle: its next version comes with the next one",
            hint=f"orch applet upgrade {old.id} BUNDLE",
        )
    if options.source is not None:
        from llama_orch.applets import source

        if source.kind_of(options.source) == "bundle":
            from llama_orch.cli.applet.bundled import upgrade_from

            upgrade_from(old, options.source, options.signer, out, yes=options.yes)
            return
        origin = _origin(options.source, options)
    elif options.find_links or options.index or options.offline:
        origin = replace(_origin(origin.where, options), kind=origin.kind, where=origin.where)
    with installing.offered(origin) as offer:
        if _more(old, offer.brought.manifest):
            showing.ask(offer.brought, origin.where, out, yes=options.yes)
        record = installing.exchange(old, offer, out.note)
    out.note(f"{old.version} -> {record.version}")
    showing.told(record, out)


def rm(options: Rm, out: Output) -> None:
    """All are known before the first goes."""
    from llama_orch.applets import install as installing
    from llama_orch.applets import lock
    from llama_orch.cli.applet import showing

    for name in options.ids:
        lock.find(name)
    rows = [showing.row_of(installing.remove(name)) for name in dict.fromkeys(options.ids)]
    _remember()
    if out.mode == "human":
        for row in rows:
            out.note(f"removed {row['id']}")
    else:
        out.table(rows, {}, key="id", empty="")


def verify(options: Verify, out: Output) -> int:
    """1 where one is not what was installed."""
    from llama_orch.applets import check, lock

    bundles = [name for name in options.names if Path(name).exists() and name not in lock.read()]
    ids = [name for name in options.names if name not in bundles]
    records = [lock.find(name) for name in ids] if options.names else list(lock.read().values())
    rows: list[dict[str, object]] = []
    for record in records:
        found = check.wrong(record)
        for words in found:
            out.warn(f"{record.id}: {words}", f"orch applet upgrade {record.id}")
        rows.append({"id": record.id, "whole": not found, "wrong": found, "signer": record.signer or None})
    for name in bundles:
        from llama_orch.applets.bundle.opening import opened

        with opened(Path(name)) as bundle:
            rows.append({"id": name, "whole": True, "wrong": [], "signer": bundle.signer})
    out.table(rows, {"id": None, "whole": None, "signer": None}, key="id", empty="no applet is installed here")
    return 0 if all(row["whole"] for row in rows) else 1


def _origin(where: str, options: Fetching) -> Origin:
    from llama_orch.applets import source
    from llama_orch.applets.record import Origin

    kind = source.kind_of(where)
    path = where if kind == "package" else str(Path(where).expanduser().absolute())
    links = tuple(each if "://" in each else str(Path(each).expanduser().absolute()) for each in options.find_links)
    return Origin(kind, path, options.index, links, options.offline)


def _more(old: Record, new: object) -> bool:
    """Whether the new one asks for anything that the old one did not."""
    from llama_orch_utils.applets.manifest import Manifest

    before = old.read_manifest()
    assert isinstance(new, Manifest)
    return any(
        set(getattr(new, name)) - set(getattr(before, name)) for name in ("reads", "writes", "network", "capabilities")
    ) or (before.most_cost is not None and (new.most_cost is None or new.most_cost > before.most_cost))


def _remember() -> None:
    """For TAB."""
    from llama_orch.applets import catalogue
    from llama_orch.cli.completion.names import remember

    remember(applets=list(catalogue.names()))


_INSTALLED = {name: KEYS[name] for name in KEYS}
INSTALL = Command("applet install", Install, install, ("orch applet install ./my-applet",), _INSTALLED)
UPGRADE = Command("applet upgrade", Upgrade, upgrade, ("orch applet upgrade triage",), _INSTALLED)
RM = Command("applet rm", Rm, rm, ("orch applet rm triage",), _INSTALLED)
VERIFY = Command(
    "applet verify",
    Verify,
    verify,
    ("orch applet verify",),
    {
        "id": "the applet, or the bundle's file",
        "whole": "whether all is as it was installed",
        "wrong": "what is not, in words",
        "signer": "the fingerprint of who signed its bundle, or null",
    },
)

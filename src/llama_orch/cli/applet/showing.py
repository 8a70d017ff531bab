# SPDX-License-Identifier: GPL-3.0-or-later
"""Installed applets as rows, and the question before one is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_orch.cli.failure import UsageError

if TYPE_CHECKING:
    from llama_orch.applets.record import Record
    from llama_orch.applets.wheel import Brought
    from llama_orch.cli.output import Output

KEYS = {
    "id": "what orch ID takes",
    "summary": "what it does",
    "package": "the distribution that brings it",
    "version": "of that distribution",
    "licence": "its SPDX expression",
    "permissions": "what it may touch, in words",
    "source": "where it came from: a path, a requirement, or orch (its own environment)",
    "signer": "the fingerprint of who signed its bundle, or null",
    "enforced": "whether this machine enforces the permissions: files, network",
    "error": "why it cannot be used, or null",
}
_YES = {"y", "yes"}


def row_of(record: Record) -> dict[str, Any]:
    """One installed applet."""
    from llama_orch.applets import grants

    manifest = record.read_manifest()
    holds = grants.enforced()
    return {
        "id": record.id,
        "summary": manifest.summary,
        "package": record.package,
        "version": record.version,
        "licence": record.licence,
        "permissions": grants.asks(manifest),
        "source": record.origin.where,
        "signer": record.signer or None,
        "enforced": {"files": holds.files, "network": holds.network},
        "error": None,
    }


def told(record: Record, out: Output) -> None:
    """One applet that was just installed."""
    found = row_of(record)
    if out.mode == "human":
        found = {name: each for name, each in found.items() if each is not None and name != "enforced"}
    out.record(found, key="id")


def ask(brought: Brought, where: str, out: Output, *, yes: bool, signer: str = "") -> None:
    """Shows what it is and what it asks for; then asks. Raises UsageError for a no, and where nobody can be asked."""
    from llama_orch.applets import grants

    manifest = brought.manifest
    most = "" if manifest.most_cost is None else f", at most {manifest.most_cost / 1_000_000:.2f} EUR a run"
    needs = ", ".join(manifest.capabilities)
    lines = [
        f"{manifest.id} {brought.version}: {manifest.summary}",
        f"  package      {brought.package} ({brought.licence}), from {where}",
        f"  may          {grants.asks(manifest)}",
        f"  needs        a model that can {needs}{most}",
        f"  held to it   {grants.enforced().words}",
    ]
    if signer:
        lines.append(f"  signed by    {signer}")
    for line in lines:
        out.note(line)
    if not yes and not _agreed("Install it? [y/N] ", out):
        raise UsageError("nothing was installed", hint="orch applet install --yes SOURCE")


def _agreed(question: str, out: Output) -> bool:
    from llama_orch.cli.run.toolset import terminal_at_hand

    if out.quiet or not out.stderr.isatty() or not terminal_at_hand():
        return False
    painted = out.paint(question, "yellow", stream=out.stderr)
    with open("/dev/tty", "r+b", buffering=0) as terminal:  # noqa: PTH123 - a device, unbuffered
        terminal.write(painted.encode("utf-8", "replace"))
        return terminal.readline().decode("utf-8", "replace").strip().lower() in _YES

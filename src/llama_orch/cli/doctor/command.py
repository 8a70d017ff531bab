# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.options import Printing, flag

if TYPE_CHECKING:
    from llama_orch.cli.doctor.check import Check
    from llama_orch.cli.output import Output, Paint

_PAINTS: dict[str, Paint] = {"ok": "green", "warn": "yellow", "fail": "red"}


@dataclass(frozen=True, kw_only=True)
class Doctor(Printing):
    """Check the installation: each line is ok, warn or fail, with the command that mends it.

    The exit code is 1 when something fails. Nothing leaves this machine without --network. With -q, only the names of
    what is not ok.
    """

    network: bool = flag("--network", help="also ask every target that has an address")


def doctor(options: Doctor, out: Output) -> int:
    """Every check in turn, told as it is made."""
    found: list[Check] = []
    for check in _all(network=options.network):
        found.append(check)
        if out.mode == "human":
            _tell(check, out)
    if out.json:
        out.data([asdict(each) for each in found])
    elif out.quiet:
        for each in found:
            if each.state != "ok":
                out.line(each.name)
    return int(any(each.state == "fail" for each in found))


def _all(*, network: bool) -> Iterator[Check]:
    from llama_orch.cli.doctor import engine, machine, settings

    kinds: list[Callable[[], Iterator[Check]]] = [
        machine.python, settings.files, machine.directories, machine.keyring, settings.log, machine.processors,
        machine.compiler, engine.installed, engine.model,
    ]  # fmt: skip
    if network:
        kinds.append(settings.targets)
    for kind in kinds:
        yield from _guarded(kind)


def _guarded(kind: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """The findings of one check; what stops it is a finding too."""
    from llama_orch.cli.doctor.check import Check
    from llama_orch.cli.failure import words
    from llama_orch_utils.errors import OrchError

    try:
        yield from kind()
    except (OrchError, OSError) as error:
        message, hint = words(error)
        yield Check(kind.__name__, "fail", message, hint)


def _tell(check: Check, out: Output) -> None:
    from llama_orch.cli.output import printable

    out.line(f"{out.paint(check.state.ljust(4), _PAINTS[check.state])}  {printable(f'{check.name}: {check.message}')}")
    if check.hint and check.state != "ok":
        out.line(f"      {out.paint('hint:', 'cyan')} {printable(check.hint)}")
    out.stdout.flush()


DOCTOR = Command(
    "doctor",
    Doctor,
    doctor,
    ("orch doctor", "orch doctor --network --json"),
    {
        "name": "what was looked at",
        "state": "ok, warn or fail",
        "message": "how it is",
        "hint": "what mends it, or null",
    },
)

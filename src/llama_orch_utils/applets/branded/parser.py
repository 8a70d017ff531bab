# SPDX-License-Identifier: Apache-2.0
"""A client's command line: one word per applet, its options from its input."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from llama_orch_utils.applets.branded.look import failure, painted
from llama_orch_utils.applets.inputs import InputField, fields_of

if TYPE_CHECKING:
    from llama_orch_utils.applets.branded.brand import Brand
    from llama_orch_utils.applets.schema import Runnable

FIELD = "field_"


class Words(argparse.ArgumentParser):
    """Says where help is instead of the whole usage."""

    brand: Brand

    def error(self, message: str) -> NoReturn:
        """Exit code 2."""
        self.exit(2, f"{failure(self.brand, self.brand.own(message), f'{self.prog} --help')}\n")


def of_applet(brand: Brand, applet: Runnable) -> Words:
    """The parser of one applet's words."""
    about = f"{painted(brand.title, brand.accent)} {applet.id}: {brand.own(applet.manifest.summary)}"
    found = Words(
        f"{brand.name} {applet.id}",
        description=about.replace("%", "%%"),
        epilog="\n".join(brand.foot()).replace("%", "%%"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.brand = brand
    for each in fields_of(applet):
        _add(found, each)
    found.add_argument(
        "--batch", metavar="FILE", help="run it for every row of a CSV or JSONL, or document of a folder"
    )
    found.add_argument("--output", metavar="FILE", help="where the rows of a batch go")
    found.add_argument(
        "--raw-cells", action="store_true", help="write cells as they are, also what a spreadsheet would run"
    )
    found.add_argument("--max-cost", metavar="AMOUNT", help='spend at most this: "0.50 EUR"')
    found.add_argument("--json", action="store_true", help="print JSON")
    return found


def _add(parser: Words, each: InputField) -> None:
    words, name = each.words.replace("%", "%%"), FIELD + each.name
    flag = f"--{each.name.replace('_', '-')}"
    if each.by_place:
        what = "a file, or - for standard input" if each.kind == "document" else words
        parser.add_argument(name, nargs="?", metavar=each.name.upper(), help=what)
    elif each.kind == "flag":
        parser.add_argument(flag, dest=name, action="store_const", const=True, help=words)
    elif each.kind == "list":
        parser.add_argument(flag, dest=name, action="append", type=each.plain, metavar=each.name.upper(), help=words)
    else:
        kind = str if each.kind != "plain" else each.plain
        choices = each.choices or None
        parser.add_argument(flag, dest=name, type=kind, choices=choices, metavar=each.name.upper(), help=words)

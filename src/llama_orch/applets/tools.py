# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that make an applet's environment: uv where it is there, else Python's own venv and pip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llama_orch.applets.record import Origin
from llama_orch_utils.errors import AppletError

_LAST = 6
SECONDS = 900


@dataclass(frozen=True, slots=True)
class Tools:
    """`uv` is its path, or None: pip. `origin` says where packages may come from, `links` adds folders to it."""

    origin: Origin
    uv: str | None
    links: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """What it is called in words."""
        return "uv" if self.uv else "pip"

    def options(self) -> list[str]:
        """Where packages come from, as both take it."""
        found = (
            ["--no-index"] if self.origin.offline else ["--index-url", self.origin.index] if self.origin.index else []
        )
        # uv takes its variable only where the option is not given; pip adds the two.
        named = os.environ.get("UV_FIND_LINKS", "").split(",") if self.uv and self.links else []
        for each in (*map(str, self.links), *self.origin.links, *filter(None, named)):
            found += ["--find-links", each]
        return found

    def make(self, folder: Path) -> None:
        """A fresh environment. Raises AppletError."""
        if self.uv:
            run([self.uv, "venv", "--quiet", "--no-project", "--python", base_python(), str(folder)])
        else:
            run([base_python(), "-m", "venv", str(folder)])

    def build(self, project: Path, out: Path) -> Path:
        """The wheel of a project folder. Raises AppletError with the last lines of what was said."""
        if self.uv:
            run([self.uv, "build", "--quiet", "--wheel", "--out-dir", str(out), *self.options(), str(project)])
        else:
            words = ["wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), *self.options(), str(project)]
            run([sys.executable, "-m", "pip", "--disable-pip-version-check", *words])
        made = sorted(out.glob("*.whl"))
        if not made:
            raise AppletError(f"{project} gave no wheel", hint="check its pyproject.toml")
        return made[-1]

    def fetch(self, requirement: str, out: Path) -> None:
        """Unpacks one package from its wheel into `out`, without what it depends on. Raises AppletError."""
        words = ["--quiet", "--no-deps", "--only-binary", ":all:", "--target", str(out), *self.options(), requirement]
        if self.uv:
            run([self.uv, "pip", "install", "--python", base_python(), *words])
        else:
            run([base_python(), "-m", "pip", "--disable-pip-version-check", "install", *words])

    def pinned(self, requirement: str, python: Path, out: Path) -> None:
        """Writes every package that `requirement` needs into `out`, with versions and hashes. Raises AppletError."""
        if self.uv:
            wanted = out.with_suffix(".in")
            wanted.write_text(f"{requirement}\n", "utf-8")
            words = ["--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--only-binary", ":all:"]
            options = [*self.options(), "--python", str(python), "--output-file", str(out)]
            run([self.uv, "pip", "compile", *words, *options, str(wanted)])
            wanted.unlink()
            lines = out.read_text("utf-8").splitlines(keepends=True)
            out.write_text("".join(each for each in lines if not each.startswith("--")), "utf-8")
            return
        report = out.with_suffix(".json")
        words = ["install", "--quiet", "--dry-run", "--ignore-installed", "--only-binary", ":all:"]
        run([str(python), "-m", "pip", "--disable-pip-version-check", *words, *self.options(),
             "--report", str(report), requirement])  # fmt: skip
        _write_report(report, out)

    def fill(self, python: Path, requirements: Path) -> None:
        """Installs what `requirements` pins; a file with another hash is refused. Raises AppletError."""
        words = ["--quiet", "--require-hashes", "--no-deps", "--only-binary", ":all:", *self.options()]
        if self.uv:
            options = ["--python", str(python), "--compile-bytecode", "--link-mode", "copy"]
            run([self.uv, "pip", "install", *options, *words, "-r", str(requirements)])
        else:
            run([str(python), "-m", "pip", "--disable-pip-version-check", "install", *words, "-r", str(requirements)])


def find_uv() -> str | None:
    """uv: the one that runs us (`uv run` says which), else the one on the PATH."""
    given = os.environ.get("UV")
    if given is not None:
        return given if os.access(given, os.X_OK) else None
    return shutil.which("uv")


def base_python() -> str:
    """The interpreter that environments are made from: not the one of our own environment, which may go."""
    found: str = getattr(sys, "_base_executable", None) or sys.executable
    return found


def run(words: Sequence[str]) -> None:
    """Runs one of them. Raises AppletError with the end of what it said."""
    # A setting of the user's for his own projects (UV_…, PIP_…) stays his wish; an environment that is active is not.
    variables = {
        name: each for name, each in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    }
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=SECONDS, env=variables
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AppletError(f"{Path(words[0]).name} cannot be run: {error}", hint="orch doctor") from error
    if done.returncode != 0:
        raise _failed(words, (done.stderr or done.stdout).decode("utf-8", "replace"))


def _failed(words: Sequence[str], said: str) -> AppletError:
    lines = [each.strip() for each in said.splitlines() if each.strip()]
    told = " ".join(lines[-_LAST:])[:600] or "it said nothing"
    name = Path(words[0]).name.split("3")[0]
    if ("hash" in said.lower() and "mismatch" in said.lower()) or "do not match the hashes" in said.lower():
        return AppletError(
            f"a package is not the one that was pinned: {told}", hint="get it again from where it comes from"
        )
    hint = (
        "give the folder of its packages: --find-links FOLDER"
        if "--no-index" in words
        else "check the network, or give a folder of packages: --find-links FOLDER"
    )
    return AppletError(f"{'uv' if name == 'uv' else 'pip'} could not do it: {told}", hint=hint)


def _write_report(report: Path, out: Path) -> None:
    import json

    found = json.loads(report.read_text("utf-8"))
    report.unlink()
    lines: list[str] = []
    for each in found["install"]:
        about, archive = each["metadata"], each["download_info"]["archive_info"]
        digest = archive["hashes"]["sha256"] if "hashes" in archive else archive["hash"].partition("=")[2]  # pip < 23.1
        lines.append(f"{about['name'].lower()}=={about['version']} --hash=sha256:{digest}\n")
    out.write_text("".join(sorted(lines)), "utf-8")

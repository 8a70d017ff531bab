# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that make an environment and fill it: uv where it is there, else Python's own venv and pip."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """Where packages come from: the user's own index unless `index` names another.

    `links` are folders or pages besides it, and with `offline` the only place.
    """

    index: str | None = None
    links: tuple[str, ...] = ()
    offline: bool = False

    def options(self) -> list[str]:
        """As pip and uv take them."""
        found = ["--no-index"] if self.offline else ["--index-url", self.index] if self.index else []
        for each in self.links:
            found += ["--find-links", each if "://" in each else os.path.abspath(each)]  # noqa: PTH100 - keeps links
        return found


@dataclass(frozen=True, slots=True)
class Installer:
    """Commands for the environment at `folder`, made with uv (`uv` its path) or with pip (None)."""

    folder: Path
    source: Source
    uv: str | None

    @property
    def name(self) -> str:
        """What it is called in words."""
        return "uv" if self.uv else "pip"

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.folder / "bin" / "python"

    def make(self) -> list[str]:
        """Makes the environment."""
        if self.uv:
            return [self.uv, "venv", "--no-project", "--python", base_python(), str(self.folder)]
        return [base_python(), "-m", "venv", str(self.folder)]

    def install(self, requirements: Sequence[str]) -> list[str]:
        """Installs packages, from wheels only: none of them shall start a compiler."""
        if self.uv:
            return [*self._uv(), "--only-binary", ":all:", *self.source.options(), *requirements]
        return [*self._pip(), "--only-binary", ":all:", *self.source.options(), *requirements]

    def compile(self, package: str, requirement: str, definitions: Sequence[str]) -> list[str]:
        """Builds `package` from its source, with cmake's `definitions`, and tells how far it is.

        Neither takes what it built before: pip's cache does not know what definitions a wheel was made with.
        """
        settings = [f"cmake.define.{each}" for each in definitions]
        common = ["--no-deps", "--no-binary", package, *self.source.options()]
        if self.uv:
            each = [word for one in settings for word in ("--config-setting", one)]
            again = ["--reinstall-package", package]  # a second build in the same environment is another one
            return [*self._uv(), "--no-cache", "--verbose", *again, *common, *each, requirement]
        each = [word for one in settings for word in ("--config-settings", one)]
        return [*self._pip(), "--no-cache-dir", "--verbose", "--force-reinstall", *common, *each, requirement]

    def _uv(self) -> list[str]:
        assert self.uv is not None
        return [self.uv, "pip", "install", "--python", str(self.python)]

    def _pip(self) -> list[str]:
        # What is not imported need not be compiled; what is, the trial compiles.
        return [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--no-compile"]


def find_uv() -> str | None:
    """uv: the one that runs us (`uv run` says which), else the one on the PATH."""
    given = os.environ.get("UV")
    if given and os.access(given, os.X_OK):
        return given
    return shutil.which("uv")


def base_python() -> str:
    """The interpreter that environments are made from: not the one of our own environment, which may go."""
    found: str = getattr(sys, "_base_executable", None) or sys.executable
    return found

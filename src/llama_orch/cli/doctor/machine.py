# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about the machine: Python, compiler, processors, directories, keyring."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from llama_orch.cli.doctor.check import Check

_OLDEST = (3, 11)
# A small quantised model with its download beside it.
_ROOM_BYTES = 2_000_000_000


def python() -> Iterator[Check]:
    """The interpreter and this program."""
    import platform

    from llama_orch import __version__

    words = f"{platform.python_version()} on {platform.system()} {platform.machine()} ({sys.executable})"
    if sys.version_info < _OLDEST:
        yield Check("python", "fail", words, "install Python 3.11 or newer")
    else:
        yield Check("python", "ok", words)
    yield Check("llama-orch", "ok", __version__)


def compiler() -> Iterator[Check]:
    """A C and C++ compiler: only needed to build an engine, so it is missing only where there is none."""
    from llama_orch.cli.doctor.engine import local, usable
    from llama_orch.engines import preflight, toolchain

    lacks = toolchain.lacks("cpu", offline=False)
    if not lacks:
        yield Check("compiler", "ok", " and ".join(each for each in toolchain.compilers() if each))
    elif usable():
        yield Check("compiler", "ok", f"{lacks[0].what}, and none needed: there is an engine")
    else:
        words = f"{lacks[0].what}: the engine cannot be built here; {preflight.offer()}"
        yield Check("compiler", "fail" if local() else "warn", words, lacks[0].hint)


def processors() -> Iterator[Check]:
    """Cores that this process may use, and memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    yield Check("processors", "ok", f"{cores} cores, {memory / 2**30:.1f} GiB of memory")


def directories() -> Iterator[Check]:
    """Every directory can be made and written, by this user only, and has room."""
    from llama_orch_utils.config import paths

    for name, place in (
        ("config", paths.config_dir()), ("data", paths.data_dir()), ("state", paths.state_dir()),
        ("cache", paths.cache_dir()), ("run", paths.runtime_dir()),
    ):  # fmt: skip
        yield _directory(f"{name} directory", place)


def keyring() -> Iterator[Check]:
    """Whether keys can go into the system's keyring, and that nobody else reads the file where they go otherwise."""
    from llama_orch_utils.secrets import key_file, ring
    from llama_orch_utils.secrets.keyfile import read_keys

    try:
        ring.ask("https://orch-doctor.invalid")
    except ring.KeyringSilent as error:
        yield Check("keyring", "warn", f"{error}: keys go into {key_file()}, which only you can read",
                    "orch help privacy")  # fmt: skip
    else:
        yield Check("keyring", "ok", "keys go into the keyring")
    count = len(read_keys())
    if count:
        yield Check("key file", "ok", f"{key_file()} holds {count} key{'' if count == 1 else 's'}, 0600")


def _directory(name: str, place: Path) -> Check:
    import shutil
    import tempfile

    from llama_orch_utils.config import paths
    from llama_orch_utils.errors import ConfigError

    try:
        paths.ensure_private(place)
        with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor-") as file:
            file.write(b"x" * 4096)
            file.flush()
    except ConfigError as error:
        return Check(name, "fail", error.message, f"ls -ld {place}")
    except OSError as error:
        return Check(name, "fail", f"{place} cannot be written: {error.strerror}", f"df -h {place}; ls -ld {place}")
    free = shutil.disk_usage(place).free
    if free < _ROOM_BYTES and name == "data directory":
        return Check(name, "warn", f"{place} has {free / 1e9:.1f} GB left, little for a model", f"df -h {place}")
    return Check(name, "ok", str(place))

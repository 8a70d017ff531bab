# SPDX-License-Identifier: GPL-3.0-or-later
"""What an applet's process is given, as the launcher's words; and how much of it this machine enforces."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llama_orch.applets import confine
from llama_orch_utils.applets.manifest import Manifest

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", "/nix/store", "/etc/ssl", "/etc/pki", "/etc/localtime",
           "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ca-certificates", "/etc/mime.types",
           "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/passwd",
           "/dev/urandom", "/dev/random", "/dev/zero", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat",
           "/sys/devices/system/cpu", "/sys/fs/cgroup")  # fmt: skip
_TCP_ABI = 4
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from llama_orch_utils.applets.host import main; sys.exit(main(sys.argv[2:]))"
)


@dataclass(frozen=True, slots=True)
class Enforced:
    """Whether this machine enforces the permission for files and for the network, and what stays open in words."""

    files: bool
    network: bool
    words: str


def enforced() -> Enforced:
    """What holds here."""
    version = confine.abi()
    files, network = version > 0, version >= _TCP_ABI and confine.filters()
    if files and network:
        words = "enforced by the kernel (Landlock, seccomp)"
    elif files:
        words = "files are enforced by the kernel (Landlock); the network is advisory: this kernel is too old"
    else:
        reason = (
            "this kernel has no Landlock" if sys.platform == "linux" else f"there is no means for it on {sys.platform}"
        )
        words = f"advisory: {reason}; install only what you trust"
    return Enforced(files, network, words)


def asks(manifest: Manifest) -> str:
    """What it asks for, in words."""
    found = [f"read {', '.join(manifest.reads)}"] if manifest.reads else []
    found += [f"write {', '.join(manifest.writes)}"] if manifest.writes else []
    found.append("network: the target only" if manifest.network else "no network")
    return "; ".join(found if manifest.reads or manifest.writes else ["no files", *found])


@dataclass(frozen=True, slots=True)
class Grant:
    """What one process gets: files to read and to write, the one port that it may connect to, its own folder."""

    reads: Sequence[Path]
    writes: Sequence[Path]
    port: int | None
    folder: Path


def command(python: str, name: str, grant: Grant, paths: Sequence[str] = ()) -> tuple[str, ...]:
    """The words that start the host of the applet `name`, confined.

    `python` is that of its environment; `paths`: where it imports from, where that is not its environment alone.
    """
    base = {sys.base_prefix, str(Path(os.path.realpath(python)).parents[1]), str(Path(python).parents[1])}
    rules = {
        "read": [*_SYSTEM, *sorted(base), *paths, *map(str, grant.reads)],
        "write": [str(grant.folder), "/dev/null", *map(str, grant.writes)],
        "port": grant.port,
        "folder": str(grant.folder),
    }
    start = ("-c", _START, json.dumps(paths)) if paths else ("-m", "llama_orch_utils.applets.host")
    return (sys.executable, "-I", "-S", confine.__file__, json.dumps(rules), python, "-I", *start, name)


def environment(folder: Path) -> dict[str, str]:
    """All that it sees of the environment: no key of the user's, no setting but those of language and time."""
    kept = {name: each for name, each in os.environ.items() if name in {"LANG", "LC_ALL", "LC_CTYPE", "TZ"}}
    own = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder)}
    # No keyring: there is no key in this process.
    keys = {"ORCH_HOME": str(folder / "orch"), "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    return {**kept, **own, **keys}

# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch engine build`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.engine.row import KEYS
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import Printing, flag, option

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.engines.record import EngineRecord
    from llama_orch.engines.wish import Wish

BACKENDS = ("cpu", "cuda", "metal", "vulkan", "rocm")


@dataclass(frozen=True, kw_only=True)
class Build(Printing):
    """Build llama.cpp for this machine, in an environment of its own, and use it.

    Takes minutes. Your own environment is not touched; the engine that was in use stays, and orch engine use brings it
    back. What is missing (a compiler, a toolkit) is named before anything is built. The new engine is tried in a
    process of its own, and its speed is shown beside that of the one in use.
    """

    backend: str | None = option(
        "--backend", value="KIND", choices=BACKENDS, help="what it computes on (the GPU that is here, else the CPU)"
    )
    name: str | None = option("-n", "--name", value="NAME", help="what to call it (the backend's name, or prebuilt)")
    prebuilt: bool = flag("--prebuilt", help="take a ready-made one, for machines without a compiler: slower")
    version: str | None = option("--version", value="VERSION", help="of llama-cpp-python, or of xllamacpp (prebuilt)")
    define: tuple[str, ...] = option(
        "-D", "--define", value="NAME=VALUE", many=True, help="a cmake definition, as CMAKE_CUDA_ARCHITECTURES=90"
    )
    jobs: int | None = option(
        "-j", "--jobs", value="N", kind=int, bounds=(1, 1024), help="compilers at once (as many as there are cores)"
    )
    keep: bool = flag("--no-use", help="build it, and go on with the engine in use")
    unmeasured: bool = flag("--no-speed", help="do not measure it")
    index_url: str | None = option("--index-url", value="URL", help="the package index (that of pip or uv)")
    find_links: tuple[str, ...] = option(
        "--find-links", value="PLACE", many=True, complete="file", help="a folder or page with packages"
    )
    offline: bool = flag("--offline", help="take packages from --find-links only")


def build(options: Build, out: Output) -> None:
    """Build, show, choose."""
    from llama_orch.engines import choice

    before = choice.in_use()
    made = run(wish_of(options), out)
    chosen = not options.keep
    if chosen:
        choice.use(made.name)
    out.record(_told(made, out), key="name")
    if not chosen:
        out.note(f"use it: orch engine use {made.name}")
    elif before != made.name:
        out.note(f"{made.name} is in use; the way back: orch engine use {before}")
    if chosen and (overridden := choice.overridden(made.name)):
        out.warn(*overridden)


def run(wish: Wish, out: Output) -> EngineRecord:
    """Builds `wish` with its progress on stderr. Raises ConfigError, EngineFailed."""
    from llama_orch.cli.engine.showing import Showing
    from llama_orch.engines.build import build as make

    showing = Showing(out)
    try:
        return make(wish, showing)
    finally:
        showing.clear()


def wish_of(options: Build) -> Wish:
    """What the options ask for. Raises UsageError, ConfigError."""
    from typing import cast

    from llama_orch.engines import processor
    from llama_orch.engines.installer import Source
    from llama_orch.engines.names import checked
    from llama_orch.engines.record import Backend
    from llama_orch.engines.wish import Wish

    _check(options)
    backend = cast("Backend", options.backend or ("cpu" if options.prebuilt else processor.backend()))
    return Wish(
        name=checked(options.name or ("prebuilt" if options.prebuilt else backend)),
        backend=backend,
        kind="prebuilt" if options.prebuilt else "built",
        version=options.version,
        definitions=options.define,
        jobs=options.jobs,
        source=Source(options.index_url, options.find_links, options.offline),
        measured=not options.unmeasured,
    )


def _check(options: Build) -> None:
    import re

    for each in options.define:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*=[^\x00-\x1f]*", each):
            raise UsageError(f"-D needs NAME=VALUE, not '{each}'", hint="orch engine build -D GGML_NATIVE=OFF")
    if options.version is not None and not re.fullmatch(r"[0-9][0-9A-Za-z.+!-]*", options.version):
        raise UsageError(f"--version needs a version, not '{options.version}'", hint="orch engine build --help")
    if options.prebuilt and options.define:
        raise UsageError("a prebuilt engine is not configured by -D", hint="orch engine build --backend cpu")
    if options.prebuilt and options.backend not in (None, "cpu") and options.index_url is None:
        raise UsageError(
            f"the package index has no prebuilt engine for {options.backend}: name one that has by --index-url",
            hint=f"orch engine build --backend {options.backend}",
        )
    if options.offline and not options.find_links:
        raise UsageError("--offline needs --find-links: packages have to come from somewhere",
                         hint="orch engine build --offline --find-links ./wheels")  # fmt: skip
    if options.index_url and "@" in options.index_url:
        raise UsageError("--index-url must hold no password: every program on this machine sees it",
                         hint="export PIP_INDEX_URL=... UV_INDEX_URL=...")  # fmt: skip
    if options.offline and options.index_url:
        raise UsageError("--offline and --index-url exclude each other", hint="orch engine build --help")


def _told(made: EngineRecord, out: Output) -> dict[str, object]:
    from llama_orch.cli.engine import row

    told = row.of(made.name)
    if out.mode != "human":
        return told
    return {name: told[name] for name in ("name", "backend", "kind", "version", "build_seconds", "path")}


BUILD = Command(
    "engine build",
    Build,
    build,
    (
        "orch engine build",
        "orch engine build --backend cuda",
        "orch engine build --backend cpu --name without-avx512 -D GGML_AVX512=OFF --no-use",
        "orch engine build --prebuilt",
    ),
    KEYS,
)

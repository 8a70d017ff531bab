# SPDX-License-Identifier: GPL-3.0-or-later
"""One build, in a folder that nobody else knows yet."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from llama_orch.engines import child, flags, needs, processor, trial
from llama_orch.engines import runtime as runtimes
from llama_orch.engines.child import Log
from llama_orch.engines.failure import Failures
from llama_orch.engines.flags import Flags
from llama_orch.engines.installer import Installer, find_uv
from llama_orch.engines.place import Place
from llama_orch.engines.progress import position
from llama_orch.engines.record import EngineRecord, Speed
from llama_orch.engines.runtime import Runtime
from llama_orch.engines.wish import BuildEvent, BuildListener, Wish
from llama_orch_utils.config.paths import ensure_private
from llama_orch_utils.errors import OrchError

_TURNS = 2


class Workshop:
    """The steps of a build; `discard` takes away what they left."""

    def __init__(self, place: Place, wish: Wish, lock: int, listener: BuildListener) -> None:
        self._place, self._wish, self._lock, self._say = place, wish, lock, listener
        self._build = secrets.token_hex(4)
        self._folder = place.folder / self._build
        self._log = Log(place.log)
        self._failures = Failures(wish.name, place.folder, place.log)
        self._tools = Installer(place.environment(self._build), wish.source, find_uv())

    def build(self) -> EngineRecord:
        """All steps. Raises ConfigError, EngineFailed."""
        ensure_private(self._folder)
        ensure_private(self._folder / "tmp")
        self._log.open()
        self._step(f"making an environment with {self._tools.name}")
        self._run(self._tools.make())
        self._step("installing what the worker needs")
        self._run(self._tools.install([*needs.WORKER, *needs.SDK, *self._binding()]))
        record = self._prebuilt() if self._wish.kind == "prebuilt" else self._compiled()
        shutil.rmtree(self._folder / "tmp", ignore_errors=True)
        return self._measured(record)

    def discard(self) -> None:
        """Removes everything; the log stays."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _binding(self) -> tuple[str, ...]:
        return () if self._wish.kind == "prebuilt" else needs.BINDING

    def _prebuilt(self) -> EngineRecord:
        requirement = needs.wanted(needs.PREBUILT, needs.PREBUILT_VERSIONS, self._wish.version)
        self._step(f"installing {needs.PREBUILT}, llama.cpp as others have built it")
        self._run(self._tools.install([requirement]))
        record = self._record(needs.PREBUILT, Flags(()))
        if wrong := self._trial(record):
            raise self._failures.failed(f"it was built, and then {wrong}")
        return record

    def _compiled(self) -> EngineRecord:
        """Compiles; where a build for the matrix units computes wrongly, says so and compiles once more without."""
        first = flags.flags(self._wish.backend, self._wish.definitions)
        record = self._compile(first)
        wrong = self._trial(record)
        if wrong and first.amx:
            self._say(BuildEvent("warning", f"with AMX it {wrong}; building it again without"))
            record = self._compile(flags.flags(self._wish.backend, self._wish.definitions, amx=False))
            wrong = self._trial(record)
        if wrong:
            raise self._failures.failed(f"it was built, and then {wrong}")
        return record

    def _compile(self, how: Flags) -> EngineRecord:
        self._step(f"compiling llama.cpp for {self._wish.backend}{' with AMX' if how.amx else ''}")
        requirement = needs.wanted(needs.ENGINE, needs.ENGINE_VERSIONS, self._wish.version)
        jobs = {"CMAKE_BUILD_PARALLEL_LEVEL": str(self._wish.jobs)} if self._wish.jobs else {}
        self._run(self._tools.compile(needs.ENGINE, requirement, how.definitions), {**how.variables, **jobs})
        return self._record(needs.ENGINE, how)

    def _trial(self, record: EngineRecord) -> str:
        self._step("trying it")
        engine = self._runtime(record)
        wrong = trial.fails(engine, record, self._folder, self._log, self._lock)
        if wrong or record.backend == "cpu":
            return wrong
        if processor.backend() != record.backend:
            words = f"there is no device for {record.backend} here: it was tried on the CPU only"
            self._say(BuildEvent("warning", words))
            return ""
        return trial.fails_on_gpu(engine, self._folder, self._log, self._lock)

    def _measured(self, record: EngineRecord) -> EngineRecord:
        """The record with its speed, and that of the engine in use said beside it.

        In turns: what else the machine does meets both.
        """
        if not self._wish.measured:
            return record
        self._step("measuring it")
        engine, other = self._runtime(record), _in_use()
        before: Speed | None = None
        after: Speed | None = None
        for _ in range(_TURNS):
            before = None if other is None else better(before, self._speed(other))
            after = better(after, self._speed(engine))
        if after is None:
            self._say(BuildEvent("warning", f"its speed cannot be measured; its log tells more: {self._log.path}"))
            return record
        if other is not None and before is not None:
            self._say(BuildEvent("note", f"before ({other.name}): {before}"))
        self._say(BuildEvent("note", f"after ({record.name}): {after}"))
        return replace(record, speed=after)

    def _speed(self, engine: Runtime) -> Speed | None:
        gpu = engine.record is not None and engine.record.backend != "cpu"
        return trial.measure(engine, self._folder, self._log, self._lock, gpu=gpu)

    def _runtime(self, record: EngineRecord) -> Runtime:
        return Runtime(record.name, str(self._tools.python), record)

    def _record(self, package: str, how: Flags) -> EngineRecord:
        wish = self._wish
        return EngineRecord(
            name=wish.name,
            backend=wish.backend,
            kind=wish.kind,
            build=self._build,
            version=self._version(package),
            python=_python_version(),
            processor=processor.name(),
            flags=how.definitions,
            built_at=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=0.0,
            amx=how.amx,
            packages=needs.names(self._wish.kind),
        )

    def _version(self, package: str) -> str:
        stem = package.replace("-", "_")
        found = next(self._tools.folder.glob(f"lib/python3*/site-packages/{stem}-*.dist-info"), None)
        if found is None:
            raise self._failures.failed(f"{package} is not in the environment after its installation")
        return found.name.removeprefix(f"{stem}-").removesuffix(".dist-info")

    def _step(self, words: str) -> None:
        self._say(BuildEvent("step", words))

    def _run(self, command: Sequence[str], extra: Mapping[str, str] | None = None) -> None:
        """Runs an installer. Raises ConfigError, EngineFailed in words for what stopped it."""
        variables = child.variables({"TMPDIR": str(self._folder / "tmp"), **(extra or {})})
        said: list[str] = []
        shown: tuple[int, int] | None = None

        def heard(line: str) -> None:
            nonlocal shown
            if line:
                said.append(line)
            at = position(line)
            if at is not None and at != shown:
                shown = at
                self._say(BuildEvent("progress", "", *at))

        status = child.run(
            command, environment=variables, folder=self._folder, log=self._log, heard=heard, lock=self._lock
        )
        if status != 0:
            raise self._failures.stopped(said, offline=self._wish.source.offline)


def better(one: Speed | None, other: Speed | None) -> Speed | None:
    """The best of two measurements, part by part."""
    if one is None or other is None:
        return one or other
    return Speed(prompt=max(one.prompt, other.prompt), tokens=max(one.tokens, other.tokens))


def _in_use() -> Runtime | None:
    try:
        return runtimes.check()
    except OrchError:  # there is none yet: nothing to compare with
        return None


def _python_version() -> str:
    import platform

    return platform.python_version()

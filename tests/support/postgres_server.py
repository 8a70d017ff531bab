# SPDX-License-Identifier: GPL-3.0-or-later
"""A real PostgreSQL: one server for each pytest process that asks, on a Unix socket and a loopback port of its own.

Debian's packages bring it (`apt-get install postgresql`); on a machine without, the fixture installs them. The server
refuses to run as root: then it runs as the user `postgres`, or `nobody` where there is none. It ends with its parent,
however that ends.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from processes import freeze

_SERVER_PROGRAMS = Path("/usr/lib/postgresql")
_PR_SET_PDEATHSIG = 1
_ADMINISTRATOR = "orch"


class PostgresServer:
    """A running server. `url()` names a database; `stop`, `start`, `freeze` and `thaw` are for tests of outages."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._folder, self._durable = folder, durable
        self._programs = programs()
        self._user = _user()
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._as_user("initdb", "-D", str(folder / "data"), "-U", _ADMINISTRATOR, "-A", "trust", "-E", "UTF8", "-N")
        self.start()

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self._folder),
            "max_connections": "60",
            "fsync": "on" if self._durable else "off",  # the tests kill clients; only a benchmark needs the disk
            "shared_buffers": "256MB" if self._durable else "32MB",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", *options],
                stdout=log, stderr=log, cwd=self._folder, **self._identity(),
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one system call
            )  # fmt: skip
        self._wait()

    def stop(self) -> None:
        """Ends it at once, as a power cut would end it for its clients."""
        if self._process is not None:
            self.thaw()
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)
            self._process = None

    def freeze(self) -> None:
        """All its processes stop answering, and keep their connections."""
        if self._process is not None:
            freeze(self._process.pid)  # first the one who starts the others
            freeze(*_children(self._process.pid))

    def thaw(self) -> None:
        """They go on."""
        self._signal_all(signal.SIGCONT)

    def url(self, name: str = "postgres") -> str:
        """The address of a database."""
        return f"postgresql://{_ADMINISTRATOR}@127.0.0.1:{self.port}/{name}"

    def create(self, template: str = "template1") -> str:
        """A new database, a copy of `template`; its name."""
        name = f"t_{secrets.token_hex(6)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop(self, name: str) -> None:
        """Takes a database away, and its connections with it."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                return psycopg.connect(self.url(), connect_timeout=2).close()
            except psycopg.OperationalError:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self._folder / "server.log").read_text()
                    raise AssertionError(f"PostgreSQL did not start: {log[-2000:]}") from None
                time.sleep(0.02)

    def _signal_all(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        for pid in [self._process.pid, *_children(self._process.pid)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def _as_user(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            check=False,
            cwd=self._folder,
            **self._identity(),
        )
        assert done.returncode == 0, done.stderr.decode()

    def _identity(self) -> dict[str, object]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


def programs() -> Path:
    """The folder of the newest installed server's programs; installs Debian's when there is none."""
    if (found := _installed()) is None:
        with Path("/tmp/orch-postgresql-install.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (found := _installed()) is None:
                _install()
                found = _installed()
    assert found is not None, "no PostgreSQL server: apt-get install postgresql"
    return found


def _installed() -> Path | None:
    folders = sorted(_SERVER_PROGRAMS.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    for folder in [*folders, *(Path(place).parent for name in ["initdb"] if (place := shutil.which(name)))]:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    return None


def _install() -> None:
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", "postgresql"]):
        subprocess.run([*prefix, "apt-get", *command], env=environment, check=True, timeout=280)


def _user() -> pwd.struct_passwd | None:
    """Whom the server runs as; None: as whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise AssertionError("there is no user but root to run PostgreSQL as")


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server of this pytest process. Import it in a conftest that needs it."""
    folder = Path(tempfile.mkdtemp(prefix="orch-pg-", dir="/tmp"))
    server = PostgresServer(folder)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_ledger(postgres_server: PostgresServer) -> str:
    """The name of a database that holds an empty ledger of the newest revision: a template for others."""
    from llama_orch.ledger.revision import migrate

    name = postgres_server.create()
    migrate(postgres_server.url(name))
    return name


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_ledger: str) -> Iterator[str]:
    """A migrated PostgreSQL ledger of the test's own."""
    name = postgres_server.create(postgres_ledger)
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture(scope="session")
def sqlite_ledger(shared_folder: Path) -> Path:
    """A SQLite file that holds an empty ledger: a template."""
    from llama_orch.ledger.revision import migrate

    path = shared_folder / "empty-ledger.db"
    with (shared_folder / "empty-ledger.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            partial = shared_folder / "partial-ledger.db"
            migrate(str(partial))
            partial.rename(path)
    return path


@pytest.fixture
def sqlite_url(sqlite_ledger: Path, tmp_path: Path) -> str:
    """A migrated SQLite ledger of the test's own."""
    path = tmp_path / "ledger.db"
    shutil.copy(sqlite_ledger, path)
    return str(path)


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """Both, one after the other."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")

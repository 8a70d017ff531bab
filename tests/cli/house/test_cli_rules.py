# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the whole command: exit codes, errors, streams, interruption."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from seeds import fresh_seed
from syrupy.assertion import SnapshotAssertion

from llama_orch.cli.failure import exit_code, words
from llama_orch.cli.help.topics import commands
from llama_orch.cli.options import Printing, options_of
from llama_orch.cli.registry import COMMANDS, SECTIONS, TOPIC_NAMES
from llama_orch_utils import errors

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Told = Callable[["subprocess.CompletedProcess[bytes]"], str]
ORCH = [sys.executable, "-m", "llama_orch.cli"]


@pytest.mark.parametrize(
    "line",
    ["--version", "-V", "--help", "", "modls", "zzzzz", "--vers", "--zzz", "models", "models --help", "models lss",
     "models zzz", "models --zzz", "ls --jsn", "ls extra", "models link", "models link a b", "config set model",
     "ls --color purple", "logs --count x", "logs lss", "ls --help"],
)  # fmt: skip
def test_the_command_line(line: str, run_orch: Orch, told: Told, snapshot: SnapshotAssertion) -> None:
    assert told(run_orch(*line.split())) == snapshot


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.OrchError("x"), 1),
        (errors.ConfigError("x"), 1),
        (errors.TargetUnreachable("x"), 3),
        (errors.EngineFailed("x"), 3),
        (errors.TargetTimeout("x", phase="connect", seconds=1), 3),
        (errors.BadRequest("x"), 1),
        (errors.ContextTooLong("x", limit=1, asked=2), 1),
        (errors.NotAuthorised("x"), 4),
        (errors.NotAllowed("x"), 4),
        (errors.ModelNotFound("x"), 1),
        (errors.RateLimited("x"), 1),
        (errors.InsufficientCredits("x"), 5),
        (errors.BudgetExceeded("x"), 5),
        (errors.InvalidAnswer("x"), 1),
        (errors.StreamBroken("x"), 3),
        (errors.AppletError("x"), 1),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (OSError(28, "No space left on device"), 1),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_every_exception_has_a_code_and_words(error: BaseException, code: int) -> None:
    assert exit_code(error) == code
    assert words(error)[0]


def test_errors_name_their_place_and_last_words() -> None:
    assert words(errors.ConfigError("x", file="f", line=2, column=3))[0] == "f:2:3: x"
    assert words(errors.EngineFailed("it ended", last_words="abort\n"))[0] == "it ended\n\nabort"
    assert words(errors.BadRequest("no", request_id="r1"))[0] == "no (request r1)"


def test_no_key_in_an_error() -> None:
    assert "canary" not in "".join(map(str, words(ValueError("Illegal header value b'Bearer canary-key'"))))


def test_every_command_explains_itself_and_prints_json() -> None:
    seen = set[str]()
    for command in commands():
        flags = [flag for option in options_of(command.options) for flag in option.flags]
        assert len(flags) == len(set(flags)), f"{command.path} declares a flag twice"
        assert command.summary, command.path
        assert "--color" in flags
        if issubclass(command.options, Printing):
            assert {"--json", "--quiet", "-q"} <= set(flags)
            assert command.prints, f"the JSON keys of {command.path} are not told"
        seen.add(command.path)
    assert len(seen) >= 25


def test_every_word_is_listed_once() -> None:
    listed = [word for _, words_ in SECTIONS for word in words_]
    assert sorted(listed) == sorted(COMMANDS)


def test_topics_agree() -> None:
    from llama_orch.cli.help.topics import TOPICS

    assert tuple(TOPICS) == TOPIC_NAMES


def test_a_traceback_only_on_demand(run_orch: Orch) -> None:
    assert b"Traceback" not in run_orch("stop", "zzz").stderr
    for off in ("", "0"):
        assert b"Traceback" not in run_orch("stop", "zzz", env={"ORCH_DEBUG": off}).stderr
    debugged = run_orch("stop", "zzz", env={"ORCH_DEBUG": "1"}).stderr
    assert debugged.startswith(b"Traceback")
    assert b"\nerror: " in debugged


def test_a_closed_pipe_is_quiet(orch_home: Path) -> None:
    for line in (["help", "json"], ["--version"], ["ls", "--json"], ["completion", "bash"]):
        with subprocess.Popen([*ORCH, *line], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            child.stdout.close()
            said = child.stderr.read()
        assert (child.returncode, said) == (141, b"")


def test_head_ends_quietly(orch_home: Path) -> None:
    pipe = f"{' '.join(ORCH)} help environment | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", pipe], capture_output=True, check=True)
    assert done.stdout.startswith(b"The environment variables\n")
    assert done.stderr == b""


@pytest.mark.parametrize("line", ["ls", "--version", "help json"])
def test_a_full_disk_behind_stdout(line: str, orch_home: Path) -> None:
    full = Path("/dev/full")
    if full.exists():  # Linux has it
        with full.open("wb") as nowhere:
            done = subprocess.run([*ORCH, *line.split()], stdout=nowhere, stderr=subprocess.PIPE, check=False)
        assert done.returncode == 1
        assert done.stderr == b"error: No space left on device\n\nhint: make room, then run it again: df -h\n"
    script = f'ulimit -f 0; exec "$@" > "{orch_home}/out"'
    done = subprocess.run(["bash", "-c", script, "bash", *ORCH, *line.split()], capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr == b"error: File too large\n\nhint: make room, then run it again: df -h\n"


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_hurt_nobody(closing: str, orch_home: Path) -> None:
    done = subprocess.run(["bash", "-c", f"{' '.join(ORCH)} ls {closing}"], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def interrupt_when(child: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    """^C as soon as `ready` says that the command waits where it shall be hit."""
    deadline = time.monotonic() + 60
    while not ready():
        assert child.poll() is None, "it ended before it was interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)


def test_interrupted_while_it_reads(orch_home: Path, run_orch: Orch) -> None:
    assert run_orch("target", "add", "acme", "https://tap.example/v1").returncode == 0
    marker = threading.Event()
    with subprocess.Popen(
        [sys.executable, "-v", "-m", "llama_orch.cli", "auth", "login", "acme", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stderr is not None
        lines: list[bytes] = []

        def read() -> None:
            assert child.stderr is not None
            for line in child.stderr:
                lines.append(line)
                if b"llama_orch_utils.secrets" in line:
                    marker.set()

        reader = threading.Thread(target=read)
        reader.start()
        # The imports are logged (-v); after the last one, ^C lands in the read of stdin or just before it.
        interrupt_when(child, marker.is_set)
        code = child.wait(60)
        reader.join()
    # ^C inside of exec("...") (how dataclasses are made): CPython ends by the signal, which a shell calls 130 as well.
    assert code in (130, -signal.SIGINT)
    assert b"interrupted\n" in lines
    assert not any(b"Traceback" in line for line in lines)


def test_interrupted_while_it_waits_for_a_target(orch_home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        with subprocess.Popen(
            [*ORCH, "target", "test", url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ}
        ) as child:
            server.settimeout(60)
            connection, _ = server.accept()
            connection.recv(16)
            child.send_signal(signal.SIGINT)
            out, said = child.communicate(timeout=60)
            connection.close()
    assert (child.returncode, out, said) == (130, b"", b"interrupted\n")


UP = "import sys; from llama_orch.cli.main import main; sys.stderr.write('up\\n'); sys.stderr.flush(); sys.exit(main())"


def test_interrupted_at_any_moment(orch_home: Path) -> None:
    seed = fresh_seed()
    print(f"seed {seed}")
    moments = random.Random(seed)
    for line in (["ls"], ["target", "ls", "--json"], ["config", "ls"], ["help", "config"]) * 4:
        with subprocess.Popen(
            [sys.executable, "-c", UP, *line], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as child:
            assert child.stderr is not None
            assert child.stderr.readline() == b"up\n"
            time.sleep(moments.uniform(0, 0.2))  # the moment is the input of this test, nothing is waited for
            child.send_signal(signal.SIGINT)
            _, said = child.communicate(timeout=60)
        assert child.returncode in {0, 130, -signal.SIGINT}, said
        assert said in {b"", b"interrupted\n"}


def test_stdin_is_never_waited_for_without_need(run_orch: Orch) -> None:
    with subprocess.Popen([*ORCH, "ls"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert b"orch-demo" in child.stdout.read()
        assert child.wait(60) == 0

# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap serve` as it is run for others: TLS, PostgreSQL by its URL, three processes, a reload, a drain."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from certificates import Authority
from gateway_process import until
from operator_tap import OperatorTap
from tap_house import command

from llama_orch.cli.main import main

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def tap(tmp_path: Path) -> Iterator[OperatorTap]:
    home = tmp_path / "operator"
    home.mkdir()
    made = OperatorTap(home, tmp_path / "tap")
    yield made
    made.end()


def test_tls_postgresql_and_three_processes(
    tap: OperatorTap, postgres_url: str, run_orch: Orch, tmp_path: Path
) -> None:
    tap.init("--database", postgres_url)
    authority = Authority(tmp_path)
    cert, key_file = authority.issue("localhost", "127.0.0.1")
    text = (tap.folder / "tap.toml").read_text()
    text = text.replace('# cert = "tap.pem"', f'cert = "{cert}"').replace('# key = "tap.key"', f'key = "{key_file}"')
    (tap.folder / "tap.toml").write_text(text)
    tap.orch("upstream", "add", "orch-demo", "local:orch-demo")
    tap.orch("price", "set", "orch-demo", "--input", "1200000", "--output", "1200000")
    account = tap.orch("account", "add", "acme")["id"]
    key = tap.orch("key", "add", account)
    tap.orch("grant", account, "--eur", "10", "--id", "first")
    gateway = tap.serve("--processes", "3")
    assert gateway.url.startswith("https://")
    pid = gateway.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert sum("tap.supervisor.child" in command(int(each)) for each in children) == 3

    url = gateway.url.replace("127.0.0.1", "localhost")
    env = {"SSL_CERT_FILE": str(authority.file), "ORCH_API_KEY": key["secret"]}
    for _ in range(2):  # whichever process takes it
        answer = run_orch("run", "--target", f"{url}/v1", "--json", "Hello", env=env)
        assert answer.returncode == 0, answer.stderr
        assert json.loads(answer.stdout)["cost"] > 0
    stranger = run_orch("credits", "-t", url, env={"ORCH_API_KEY": key["secret"]})
    assert stranger.returncode == 3
    assert b"TLS" in stranger.stderr

    # A limit of tap.toml that changes holds in every process as soon as the file was read again.
    text = (tap.folder / "tap.toml").read_text()
    (tap.folder / "tap.toml").write_text(text.replace("# balance_eur = [5, 1] ", "balance_eur = [50] "))
    gateway.process.send_signal(signal.SIGHUP)
    until(lambda: "the configuration was read again" in gateway.log, "the reload")
    body = {"model": "orch-demo", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    with httpx.Client(
        verify=ssl.create_default_context(cafile=str(authority.file)),
        headers={"authorization": f"Bearer {key['secret']}"},
    ) as client:

        def warned() -> bool:
            return "x-orch-balance-low" in client.post(f"{url}/v1/chat/completions", json=body).headers

        until(warned, "the new threshold")
    assert gateway.end(signal.SIGTERM) == 0
    assert "Traceback" not in gateway.log
    checked = tap.run("check", "--json")
    assert (checked.returncode, json.loads(checked.stdout)) == (0, [])
    for line in tap.orch("usage"):
        assert line["requests"] >= 3


def test_words_that_end_a_command(
    orch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an operator may get wrong, each with a word, a hint and no traceback."""
    folder = tmp_path / "tap"
    monkeypatch.setenv("ORCH_TAP_DIR", str(folder))

    def typed(*words: str) -> tuple[int, str]:
        code = main(["tap", *words])
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return code, said

    for words, code in (
        (("serve", str(folder / "nowhere")), 1),
        (("serve",), 1),
        (("account", "add"), 2),
        (("price", "set", "m"), 2),
        (("price", "set", "m", "--input", "-1", "--output", "1"), 2),
        (("price", "set", "m", "--input", "1.5", "--output", "1"), 2),
        (("acount", "add", "x"), 2),
    ):
        found, said = typed(*words)
        assert found == code, (words, said)
        assert said.startswith("error: "), words
        assert "hint: " in said, (words, said)
    assert typed("init", str(folder))[0] == 0
    for words in (("grant", "nobody", "--eur", "10"), ("key", "add", "nobody"), ("account", "show", "nobody")):
        found, said = typed(*words)
        assert (found, "hint: " in said) == (1, True), (words, said)
    assert typed("init", str(folder))[0] == 1
    assert typed("account", "add", "acme")[0] == 0
    assert typed("account", "add", "acme")[0] == 1
    for eur in ("-1", "nan", "1e19", "0", "0.0000001", "999999999999999"):
        assert typed("grant", "acme", f"--eur={eur}")[0] in {1, 2}, eur

# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch run --schema`: the JSON, or an error; `--reasoning`; `-a`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from llama_orch_utils.testing import FakeTap

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
BIRD = {"type": "object", "properties": {"size": {"enum": ["small", "large"]}, "sings": {"type": "boolean"}},
        "required": ["size", "sings"], "additionalProperties": False}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def schema_of(tap: FakeTap) -> dict[str, object]:
    return tap.asked[-1].json["response_format"]["json_schema"]["schema"]


def test_the_short_form(run_orch: Orch, tap: FakeTap, folder: Path) -> None:
    tap.json({"name": "wren", "age": 3})
    done = run_orch("run", "--schema", "name, age int: in years", "A bird?")
    assert (done.returncode, done.stdout, done.stderr) == (0, b'{"name": "wren", "age": 3}\n', b"")
    assert schema_of(tap)["properties"] == {
        "name": {"type": "string"}, "age": {"type": "integer", "description": "in years"},
    }  # fmt: skip
    tap.json({"name": "wren"})
    run_orch("run", "--schema", "name", "A bird?")
    assert schema_of(tap)["required"] == ["name"]
    tap.json({})
    run_orch("run", "--schema", ", ".join(f"field_{number} int: {number}" for number in range(100)), "A bird?")
    assert len(schema_of(tap)["required"]) == 100, "longer than a file's name can be"  # type: ignore[arg-type]


def test_a_file_of_that_name_comes_first(run_orch: Orch, tap: FakeTap, folder: Path) -> None:
    (folder / "name").write_text(json.dumps(BIRD))
    tap.json({"size": "small", "sings": True})
    assert run_orch("run", "--schema", "name", "A bird?").returncode == 0
    assert schema_of(tap) == BIRD


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("name strange", "--schema: 'name strange' is no field of a schema"),
        ("name, name", "--schema: the field name comes twice"),
        ("nothere.json", "cannot read the schema nothere.json: No such file or directory"),
        ("latin.json", "the schema latin.json is not UTF-8 text"),
        ("list.json", "list.json is no JSON object"),
        ("{", "--schema is no JSON: line 1, column 2"),
        ("", "--schema is empty"),
        (" \n", "--schema is empty"),
        (",", "cannot read the schema ,:"),
        ('{"a":' * 20000, "--schema is nested too deeply"),
    ],
)
def test_schemas_that_are_none(run_orch: Orch, tap: FakeTap, folder: Path, given: str, told: str) -> None:
    (folder / "latin.json").write_bytes(b'{"title": "\xe9"}')
    (folder / "list.json").write_text("[]")
    done = run_orch("run", "--schema", given, "A bird?")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().startswith(f"error: {told}")
    assert "\n\nhint: " in done.stderr.decode()
    assert tap.asked == []


@pytest.mark.parametrize("words", [(), ("--no-stream",), ("-q",)])
def test_an_answer_that_was_cut_prints_nothing_and_fails(
    run_orch: Orch, tap: FakeTap, folder: Path, words: tuple[str, ...]
) -> None:
    tap.answer(['{"name": "w', "ren"], finish_reason="length")
    done = run_orch("run", *words, "--schema", "name", "A bird?")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b'error: the answer was cut after 2 tokens, so it is no whole JSON: {"name": "wren')
    assert b"\n\nhint: " in done.stderr


def test_more_room_is_what_ended_the_answer(run_orch: Orch, tap: FakeTap, folder: Path) -> None:
    tap.answer(['{"name": "w', "ren"], finish_reason="length")
    done = run_orch("run", "-o", "max_tokens=2", "--schema", "name", "A bird?")
    assert b"hint: more room: -o max_tokens=2048\n" in done.stderr
    tap.answer(['{"name": "w', "ren"], finish_reason="length")
    done = run_orch("run", "-o", "max_tokens=2048", "--schema", "name", "A bird?")
    assert b"max_tokens=2048" not in done.stderr
    assert b"--context" in done.stderr


def test_json_and_schema_together(run_orch: Orch, tap: FakeTap, folder: Path) -> None:
    tap.answer(['{"name": "w'], finish_reason="length")
    done = run_orch("run", "--json", "--schema", "name", "A bird?")
    assert (done.returncode, json.loads(done.stdout)["finish_reason"]) == (1, "length")
    tap.json({"name": "wren"})
    done = run_orch("run", "--json", "--schema", "name", "A bird?")
    assert json.loads(json.loads(done.stdout)["text"]) == {"name": "wren"}
    done = run_orch("run", "-x", "--schema", "name", "A bird?")
    assert (done.returncode, done.stderr.startswith(b"error: -x and --schema exclude each other")) == (2, True)


def test_a_target_that_ignores_schemas_is_found_out(run_orch: Orch, tap: FakeTap, folder: Path) -> None:
    tap.answer("Sure! Here is a bird: wren")
    done = run_orch("run", "--schema", "name", "A bird?")
    assert done.returncode == 1
    assert b"error: the answer is no JSON" in done.stderr
    tap.error(400, "pattern is not served", code="unsupported", param="/response_format/json_schema/schema/pattern")
    done = run_orch("run", "--schema", "name", "A bird?")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"pattern is not served" in done.stderr


def test_a_stream_that_breaks_prints_no_half_json(run_orch: Orch, tap: FakeTap, folder: Path) -> None:
    tap.cut('{"name": ', '"w')
    done = run_orch("run", "--schema", "name", "A bird?")
    assert (done.returncode, done.stdout) == (3, b"")


def test_a_real_worker_holds_to_the_schema(run_orch: Orch, tiny_gguf: Path, folder: Path) -> None:
    for seed in ("1", "2"):
        done = run_orch(
            "run", "-q", "-m", str(tiny_gguf), "--schema", json.dumps(BIRD), "-o", f"seed={seed}",
            "-o", "max_tokens=1000", "A bird?",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        jsonschema.validate(json.loads(done.stdout), BIRD)
    done = run_orch("run", "-q", "-m", str(tiny_gguf), "--schema", "name", "-o", "max_tokens=2", "A bird?")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"error: the answer was cut after 2 tokens" in done.stderr
    odd = json.dumps({**BIRD, "properties": {"size": {"type": "array", "uniqueItems": True}}})
    done = run_orch("run", "-q", "-m", str(tiny_gguf), "--schema", odd, "A bird?")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"uniqueItems" in done.stderr


def test_reasoning_is_shown_or_hidden(run_orch: Orch, tap: FakeTap, folder: Path) -> None:
    for words, shown in (((), True), (("--reasoning", "show"), True), (("--reasoning", "hide"), False)):
        tap.answer("Yes.", reasoning=("Let me think.",))
        done = run_orch("run", *words, "-o", "reasoning_effort=low", "Hi")
        assert (done.stdout, b"Let me think." in done.stderr) == (b"Yes.\n", shown)
        assert tap.asked[-1].json["reasoning_effort"] == "low"
    assert run_orch("run", "--reasoning", "maybe", "Hi").returncode == 2


def test_texts_go_by_their_names(run_orch: Orch, tap: FakeTap, folder: Path) -> None:
    (folder / "one.txt").write_text("first\n")
    done = run_orch("run", "-a", "one.txt", "-a", "-", "What is it?", input=b"second")
    assert done.returncode == 0, done.stderr
    assert tap.asked[-1].messages == [{
        "role": "user",
        "content": '<file name="one.txt">\nfirst\n</file>\n\n<file name="stdin">\nsecond\n</file>\n\nWhat is it?',
    }]  # fmt: skip
    assert run_orch("run", "-a", "one.txt").returncode == 0
    assert tap.asked[-1].messages[0]["content"] == '<file name="one.txt">\nfirst\n</file>'
    logged = json.loads(run_orch("logs", "show", "--json").stdout)
    assert "first" in logged[0]["prompt"]


def test_images_only_for_a_model_that_sees(run_orch: Orch, tap: FakeTap, folder: Path) -> None:
    (folder / "cat.txt").write_bytes(PNG)
    done = run_orch("run", "-a", "cat.txt", "What is it?")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"error: cat.txt is an image (image/png), and fake-model does not see" in done.stderr
    tap.capabilities = ("tools",)
    assert b"it can: tools" in run_orch("run", "-m", "fake-model", "-a", "cat.txt", "What is it?").stderr
    assert not [each for each in tap.asked if each.method == "POST"]
    tap.capabilities = ("vision",)
    assert run_orch("run", "-a", "cat.txt", "What is it?").returncode == 0
    parts = tap.asked[-1].messages[0]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"]
    assert parts[1]["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")
    logged = json.loads(run_orch("logs", "show", "--json").stdout)
    assert logged[0]["prompt"] == "What is it?\n\n[cat.txt, image/png]"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("-a", "nothere.txt"), 1, "cannot read nothere.txt: No such file or directory"),
        (("-a", "doc.pdf"), 1, "doc.pdf is application/pdf"),
        (("-a", "empty"), 1, "empty is empty"),
        (("-a", "."), 1, "cannot read .: Is a directory"),
        (("-a", "-", "-a", "-"), 2, "-a - is given twice"),
        (("-a", "-", "-"), 2, "- is the question or an attachment, not both"),
        (("-a", "http://127.0.0.1:1/x"), 1, "cannot fetch http://127.0.0.1:1/x"),
    ],
)
def test_what_cannot_be_attached(
    run_orch: Orch, tap: FakeTap, folder: Path, words: tuple[str, ...], code: int, told: str
) -> None:
    (folder / "doc.pdf").write_bytes(b"%PDF-1.7")
    (folder / "empty").write_bytes(b"")
    done = run_orch("run", *words, "Hi", input=b"piped")
    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.decode().startswith(f"error: {told}")
    assert "\n\nhint: " in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert tap.asked == []


def test_a_local_model_that_does_not_see(run_orch: Orch, tiny_gguf: Path, folder: Path) -> None:
    (folder / "cat.png").write_bytes(PNG)
    done = run_orch("run", "-m", str(tiny_gguf), "-a", "cat.png", "What is it?")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"cat.png is an image (image/png), and " in done.stderr


def test_a_schema_and_attachments_load_nothing_heavy(tap: FakeTap, folder: Path) -> None:
    (folder / "one.txt").write_text("first\n")
    code = (
        "import sys; from llama_orch.cli.main import main\n"
        "main(['run', '-n', '--schema', 'name', '-a', 'one.txt', 'Hi'])\n"
        "print(*({'pydantic', 'httpx', 'rich', 'numpy', 'typing_extensions'} & set(sys.modules)), file=sys.stderr)"
    )
    tap.json({"name": "wren"})
    done = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert (done.stdout, done.stderr.strip()) == (b'{"name": "wren"}\n', b"")

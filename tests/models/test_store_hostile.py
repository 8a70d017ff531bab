# SPDX-License-Identifier: GPL-3.0-or-later
"""GGUF metadata that means harm: it is shown, not believed, not run, and it cannot speak to the terminal."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gguf_writing import Value, write_metadata, write_projector, write_split
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llama_orch.models import Store, read_header
from llama_orch.models.names import check_name, name_from
from llama_orch_utils.errors import BadRequest, EngineFailed

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202eevil\r\nlicence       MIT\x00\x7f"
JINJA = "{{ ''.__class__.__mro__[1].__subclasses__() }}{% for x in range(10**9) %}{% endfor %}tools<think>"


def hostile(path: Path) -> Path:
    entries: dict[str, Value] = {
        "general.architecture": EVIL,
        "general.name": EVIL,
        "general.license": "../../../etc/passwd" + EVIL,
        "tokenizer.chat_template": JINJA + EVIL,
        EVIL: EVIL,
    }
    return write_metadata(path, entries)


def harmless(out: bytes) -> bool:
    text = out.decode()
    return all(each.isprintable() or each == "\n" for each in text)


def test_show_is_safe_for_a_terminal(run_orch: Orch, tmp_path: Path) -> None:
    path = hostile(tmp_path / "x.gguf")
    for line in (["show", str(path)], ["show", str(path), "--template"], ["models", "link", str(path)], ["ls"],
                 ["models", "verify"], ["rm", "x"]):  # fmt: skip
        done = run_orch(*line)
        assert done.returncode == 0, done.stderr
        assert harmless(done.stdout), line
        assert harmless(done.stderr), line
    shown = run_orch("show", str(path)).stdout.decode().splitlines()
    assert sum(line.startswith("licence") for line in shown) == 1  # a line break in a text makes no line


def test_show_as_json_is_what_the_file_says(run_orch: Orch, tmp_path: Path) -> None:
    path = hostile(tmp_path / "x.gguf")
    shown = json.loads(run_orch("show", str(path), "--json").stdout)
    assert (shown["name"], shown["template"]) == (EVIL, JINJA + EVIL)
    assert shown["capabilities"] == ["completion", "chat", "tools", "thinking"]  # read, never run
    assert json.loads(run_orch("show", str(path), "--template", "--json").stdout)["template"] == JINJA + EVIL


def test_a_huge_text_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.gguf"
    write_metadata(path, {"general.architecture": "llama", "general.name": ""}, padding=0)
    content = path.read_bytes()[:-8] + (300 << 20).to_bytes(8, "little")
    path.write_bytes(content)
    os.truncate(path, len(content) + (300 << 20))  # a hole: no byte of it is on the disk
    code = (
        "import sys; from pathlib import Path; from llama_orch.models import read_header\n"
        "header = read_header(Path(sys.argv[1])); print(header.text('general.name'), header.lengths['general.name'])"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20))

    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False, preexec_fn=limit
    )
    assert done.stdout == f"None {300 << 20}\n", done.stderr


def test_many_long_texts_are_kept_up_to_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "many.gguf"
    write_metadata(path, {"general.architecture": "llama", **{f"k{n}": "x" * (1 << 20) for n in range(80)}})
    header = read_header(path)
    assert sum(len(value) for value in header.metadata.values() if isinstance(value, str)) <= 64 << 20
    assert header.metadata["k79"] is None
    assert header.lengths["k79"] == 1 << 20


@pytest.mark.parametrize("entries", [{"k" * 70_000: "x"}, {f"k{n}": 1 for n in range(70_000)}])
def test_a_header_that_is_out_of_all_proportion(tmp_path: Path, entries: dict[str, Value]) -> None:
    with pytest.raises(EngineFailed, match="corrupt"):
        read_header(write_metadata(tmp_path / "x.gguf", entries))


def test_arrays_are_kept_as_far_as_somebody_reads_them(tmp_path: Path, tiny_gguf: Path) -> None:
    path = write_metadata(tmp_path / "x.gguf", {"few": ["a"] * 64, "many": ["b"] * 65})
    header = read_header(path)
    assert (header.metadata["few"], header.metadata["many"], header.lengths["many"]) == (["a"] * 64, None, 65)
    assert read_header(tiny_gguf).metadata["tokenizer.ggml.token_type"] is not None  # 512 numbers


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1, max_size=80).filter(lambda text: "/" not in text and "\0" not in text))
def test_no_file_name_becomes_a_name_that_may_not_be(tmp_path: Path, text: str) -> None:
    name = name_from(tmp_path / f"{text}.gguf")
    assert check_name(name) == name


def test_a_model_named_like_a_path_stays_in_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    path = write_metadata(
        tmp_path / "a.gguf", {"general.architecture": "llama", "general.name": "../../../../tmp/evil"}
    )
    store.link(path)
    assert {file.name for file in store.folder.iterdir()} == {"links.json", "links.lock"}


def test_a_projector_is_no_model_and_a_model_no_projector(tmp_path: Path, tiny_gguf: Path) -> None:
    store = Store(tmp_path / "data")
    eye = write_projector(tmp_path / "mmproj.gguf")
    with pytest.raises(BadRequest, match="is a projector") as caught:
        store.link(eye)
    assert f"--projector {eye}" in (caught.value.hint or "")
    with pytest.raises(BadRequest, match="no projector"):
        store.link(tiny_gguf, projector=tiny_gguf)
    model = store.link(tiny_gguf, projector=eye)
    assert (model.projector, model.size) == (eye, tiny_gguf.stat().st_size + eye.stat().st_size)
    assert store.show(model.id).capabilities == ("completion", "chat", "vision")


def test_an_adapter_is_no_model(tmp_path: Path) -> None:
    path = write_metadata(tmp_path / "lora.gguf", {"general.architecture": "llama", "general.type": "adapter"})
    with pytest.raises(BadRequest, match="is a LoRA adapter") as caught:
        Store(tmp_path / "data").link(path)
    assert f"--lora {path}" in (caught.value.hint or "")


def test_a_file_that_does_not_tell_its_quantisation(tmp_path: Path, tiny_gguf: Path) -> None:
    content = tiny_gguf.read_bytes().replace(b"general.file_type", b"general.file_tyqe")
    (tmp_path / "x.gguf").write_bytes(content)
    assert Store(tmp_path / "data").show(str(tmp_path / "x.gguf")).quantisation == "F32"


def test_pipes_and_devices_keep_nobody_waiting(run_orch: Orch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "OLLAMA_MODELS"):
        monkeypatch.delenv(name, raising=False)
    pipes = [
        tmp_path / ".lmstudio-home-pointer",
        tmp_path / ".lmstudio/settings.json",
        tmp_path / ".lmstudio/models/a/b/pipe.gguf",
        tmp_path / ".ollama/models/manifests/registry.ollama.ai/library/pipe/1",
        tmp_path / ".cache/huggingface/hub/models--a--b/refs/main",
        tmp_path / ".cache/huggingface/hub/models--a--b/snapshots/r/hub.gguf",
    ]
    for pipe in pipes:
        pipe.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(pipe)
    done = run_orch("ls", "--found", "--json", timeout=30)
    assert done.returncode == 0, done.stderr
    assert {row["id"]: row["problem"] for row in json.loads(done.stdout)} == {
        "pipe:1": "its manifest cannot be read: it is no regular file",
        "pipe": "it cannot be read: it is no regular file",
        "hub": "it cannot be read: it is no regular file",
    }
    for path in (str(pipes[0]), "/dev/zero"):
        assert b"is not a file" in run_orch("models", "link", path, timeout=30).stderr


def test_names_of_files_that_are_no_text_or_hold_lines(run_orch: Orch, tmp_path: Path) -> None:
    odd = [os.fsdecode(b"caf\xe9 \xff.gguf"), "a\nlicence  MIT\x1b[2J.gguf"]
    for number, name in enumerate(odd):
        path = write_metadata(tmp_path / name, {"general.architecture": "llama"})
        done = run_orch("models", "link", str(path), "-n", f"odd{number}")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count(b"\n") == 11  # one line for each key
    for line in (["ls"], ["models", "verify"], ["show", "odd1"], ["rm", "odd1"]):
        done = run_orch(*line)
        assert done.returncode == 0, done.stderr
        assert b"\x1b" not in done.stdout + done.stderr
        assert b"\nlicence  MIT" not in done.stdout + done.stderr
    path.unlink()
    listed = json.loads(run_orch("ls", "--json").stdout)
    assert os.fsencode(listed[1]["path"]) == os.fsencode(tmp_path / odd[0])


def test_an_index_with_a_path_that_cannot_be_asked_for(run_orch: Orch, orch_home: Path) -> None:
    index = orch_home / "data" / "models" / "links.json"
    index.parent.mkdir(parents=True)
    file = {"role": "weights", "part": 1, "size": 1, "digest": "a" * 64, "path": "/" + "x" * 5000, "modified": 1}
    entry = {"files": [file], "linked_at": "2026-01-01T00:00:00Z", "source": None, "licence": None}
    index.write_text(json.dumps({"version": 2, "models": {"long": entry}}))
    listed = run_orch("ls")
    assert listed.returncode == 0, listed.stderr
    assert b"a file of long is gone" in listed.stderr
    assert run_orch("models", "verify").returncode == 1
    assert run_orch("models", "prune").returncode == 0
    for line in (["show", "long"], ["run", "-m", "long", "x"]):
        done = run_orch(*line)
        assert done.returncode == 3
        assert b"cannot be reached" in done.stderr
    assert run_orch("rm", "long").returncode == 0


def test_parts_that_are_missing_or_called_something_else(tmp_path: Path, tiny_gguf: Path) -> None:
    store = Store(tmp_path / "data")
    parts = write_split(tiny_gguf, tmp_path / "split", "big")
    model = store.resolve(str(parts[1]))
    assert (model.path, model.parts, model.id) == (parts[0], tuple(parts), "big")
    renamed = parts[0].rename(tmp_path / "split" / "renamed.gguf")
    with pytest.raises(EngineFailed, match=r"not beside it: big-00001-of-00002\.gguf"):
        store.resolve(str(parts[1]))
    with pytest.raises(EngineFailed, match="its name does not say which"):
        store.link(renamed)
    odd = tmp_path / "odd-00003-of-00002.gguf"
    odd.write_bytes(tiny_gguf.read_bytes())
    assert store.link(odd).parts == (odd,)

# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch models link --found`, `verify`, `prune`, and what the others say of owned, split and embedding models."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from embedding_models import embedding_model
from gguf_writing import write_metadata, write_projector, write_split

from llama_orch.cli.models.command import LINK, LS, PRUNE, RM, SHOW, VERIFY
from llama_orch.models import HeldFile, Store

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory in which LM Studio has two models, one of them with a projector, and Ollama a broken one."""
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "OLLAMA_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    models = tmp_path / ".lmstudio" / "models" / "publisher"
    write_metadata(models / "Qwen3-GGUF" / "Qwen3-0.6B-Q8_0.gguf", {"general.architecture": "qwen3"})
    write_metadata(models / "Seer-GGUF" / "Seer-Q4_K_M.gguf", {"general.architecture": "llama"})
    write_projector(models / "Seer-GGUF" / "mmproj-F16.gguf")
    manifest = tmp_path / ".ollama/models/manifests/registry.ollama.ai/library/cloud/120b"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"layers": []}')
    return tmp_path


def installed(orch_home: Path, name: str, word: str = "x") -> Path:
    """A model that `orch pull` fetched."""
    store = Store(orch_home / "data")
    store.downloads.mkdir(parents=True, exist_ok=True)
    path = write_metadata(store.downloads / "k.part", {"general.architecture": "llama", "general.name": word})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return store.install(
        name, [HeldFile(path, path.stat().st_size, digest, owned=True)], source="hf://o/r@1/x.gguf"
    ).path


def test_found_models_are_listed_and_linked_by_name(run_orch: Orch, home: Path) -> None:
    listed = run_orch("models", "ls", "--found")
    assert listed.returncode == 0, listed.stderr
    assert b"cloud:120b cannot be linked: it has no GGUF file here" in listed.stderr
    assert b"orch models link --found qwen3-0.6b-q8_0" in listed.stderr
    rows = {row["id"]: row for row in json.loads(run_orch("ls", "--found", "--json").stdout)}
    assert set(rows) == {"cloud:120b", "qwen3-0.6b-q8_0", "seer-q4_k_m"}
    assert set(rows["cloud:120b"]) == {"id", "app", "name", "size", "linked", "path", "projector", "problem"}
    assert run_orch("ls", "--from", "lm-studio", "-q").stdout == b"qwen3-0.6b-q8_0\nseer-q4_k_m\n"
    linked = run_orch("models", "link", "--found", "seer-q4_k_m", "--json")
    assert linked.returncode == 0, linked.stderr
    (row,) = json.loads(linked.stdout)
    assert set(row) == set(LINK.prints)
    assert row["projector"] == rows["seer-q4_k_m"]["projector"]
    assert row["source"] == "lm-studio publisher/Seer-GGUF/Seer-Q4_K_M.gguf"
    again = {row["id"]: row["linked"] for row in json.loads(run_orch("ls", "--found", "--json").stdout)}
    assert again["seer-q4_k_m"] == "seer-q4_k_m"
    assert json.loads(run_orch("models", "verify", "--json").stdout)[1]["path"] == row["projector"]
    assert run_orch("rm", "seer-q4_k_m").returncode == 0
    assert Path(row["path"]).exists()
    assert Path(row["projector"]).exists()


def test_all_of_them(run_orch: Orch, home: Path) -> None:
    done = run_orch("models", "link", "--found", "--all", "-q")
    assert (done.returncode, done.stdout) == (0, b"qwen3-0.6b-q8_0\nseer-q4_k_m\n")
    again = run_orch("models", "link", "--found", "--all")
    assert (again.returncode, again.stdout) == (0, b"")
    assert b"nothing new to link" in again.stderr
    assert run_orch("ls", "-q").stdout == b"orch-demo\nqwen3-0.6b-q8_0\nseer-q4_k_m\n"


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (["models", "link", "--found", "nothing"], 1, b"no other program here has a model 'nothing'"),
        (["models", "link", "--found", "qwen3-0.6b"], 1, b"did you mean qwen3-0.6b-q8_0?"),
        (["models", "link", "--found", "cloud:120b"], 1, b"it has no GGUF file here"),
        (["models", "link", "--found"], 2, b"name models or give --all"),
        (["models", "link", "--found", "--all", "x"], 2, b"name models or give --all"),
        (["models", "link", "--all"], 2, b"--all goes with --found"),
        (["models", "link", "--found", "--all", "-n", "x"], 2, b"belong to one FILE"),
        (["models", "link", "--found", "x", "--projector", "y"], 2, b"comes along by itself"),
        (["models", "link"], 2, b"needs FILE"),
        (["models", "link", "a.gguf", "b.gguf", "-n", "x"], 2, b"belong to one FILE"),
        (["models", "ls", "--found", "-t", "local"], 2, b"do not go together"),
        (["models", "ls", "--from", "emacs"], 2, b"one of"),
        (["models", "verify", "nothing"], 1, b"there is no model 'nothing'"),
        (["models", "verify", "orch-demo"], 1, b"part of the program"),
        (["rm", "nothing"], 1, b"there is no model 'nothing'"),
        (["show", "orch-demo", "--templat"], 2, b"--template"),
    ],
)
def test_what_cannot_be(run_orch: Orch, home: Path, line: list[str], code: int, words: bytes) -> None:
    done = run_orch(*line)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert b"\n\nhint: " in done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""


def test_a_name_that_can_be_fetched_names_the_command(run_orch: Orch, home: Path) -> None:
    for name in ("qwen3:0.6b", "hf://owner/repo:Q8_0", "https://host.example/x.gguf"):
        for word in ("run", "show"):
            done = run_orch(word, *(["-m"] if word == "run" else []), name, input=b"x")
            assert done.returncode == 1, done.stderr
            assert f"hint: orch pull {name}\n".encode() in done.stderr
    done = run_orch("show", "https://host.example/x.gguf?key=s3cret-canary")
    assert b"canary" not in done.stderr
    assert b"orch pull" not in run_orch("rm", "qwen3:0.6b").stderr


def test_several_files_at_once(run_orch: Orch, home: Path, tmp_path: Path) -> None:
    for word in ("a", "b"):
        write_metadata(tmp_path / f"{word}.gguf", {"general.architecture": "llama"})
    done = run_orch("models", "link", str(tmp_path / "a.gguf"), str(tmp_path / "b.gguf"), "-q")
    assert (done.returncode, done.stdout) == (0, b"a\nb\n")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("embed", b"serve its embeddings: orch serve -m embed"),
        ("rank", b"serve its rankings: orch serve -m rank"),
        ("embed-last", b"serve its embeddings: orch serve -m embed-last"),
    ],
)
def test_an_embedding_model_is_not_asked(run_orch: Orch, shared_folder: Path, kind: str, words: bytes) -> None:
    done = run_orch("models", "link", str(embedding_model(shared_folder, kind)))
    assert done.returncode == 0
    assert words in done.stderr
    assert b"orch run" not in done.stderr


def test_verify_ends_with_one_and_names_what_mends(
    run_orch: Orch, orch_home: Path, tiny_gguf: Path, tmp_path: Path
) -> None:
    mine = Path(shutil.copy(tiny_gguf, tmp_path / "mine.gguf"))
    run_orch("models", "link", str(mine))
    blob = installed(orch_home, "owned")
    good = run_orch("models", "verify")
    assert (good.returncode, good.stderr) == (0, b"")
    assert run_orch("models", "verify", "-q").stdout == b""
    blob.write_bytes(blob.read_bytes()[::-1])
    bad = run_orch("models", "verify")
    assert bad.returncode == 1
    assert b"its content is not what it was" in bad.stderr
    assert b"hint: fetch it again: orch models rm owned && orch pull hf://o/r/x.gguf --name owned" in bad.stderr
    only = run_orch("models", "verify", "-q")
    assert (only.returncode, only.stdout) == (1, b"owned\n")
    rows = json.loads(run_orch("models", "verify", "--json").stdout)
    assert [set(row) for row in rows] == [set(VERIFY.prints)] * 2
    assert run_orch("models", "verify", "mine").returncode == 0


def test_rm_of_owned_models_tells_what_it_did(run_orch: Orch, orch_home: Path) -> None:
    blob = installed(orch_home, "one")
    installed(orch_home, "two")
    first = run_orch("rm", "one")
    assert b"forgot one; its files stay: another name uses them" in first.stderr
    assert blob.exists()
    (row,) = json.loads(run_orch("rm", "two", "--json").stdout)
    assert set(row) == set(RM.prints)
    assert row["freed"] > 0
    assert not blob.exists()


def test_prune_tells_before_it_does(run_orch: Orch, orch_home: Path, tmp_path: Path) -> None:
    gone = write_metadata(tmp_path / "gone.gguf", {"general.architecture": "llama"})
    run_orch("models", "link", str(gone))
    gone.unlink()
    store = Store(orch_home / "data")
    store.downloads.mkdir(parents=True, exist_ok=True)
    (store.downloads / "k.part").write_bytes(b"x" * 5000)
    dry = run_orch("models", "prune", "--dry-run", "--json")
    rows = json.loads(dry.stdout)
    assert [set(row) for row in rows] == [set(PRUNE.prints)] * 2
    assert {(row["kind"], row["removed"]) for row in rows} == {("download", False), ("name", False)}
    assert b"would be freed: orch models prune" in run_orch("models", "prune", "--dry-run").stderr
    assert run_orch("models", "prune", "-q").stdout == b"k\ngone\n"
    assert run_orch("ls", "-q").stdout == b"orch-demo\n"
    done = run_orch("models", "prune")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"nothing to remove\n")


def test_show_of_a_split_model_with_a_projector(run_orch: Orch, tiny_gguf: Path, tmp_path: Path) -> None:
    parts = write_split(tiny_gguf, tmp_path / "split", "big")
    eye = write_projector(tmp_path / "mmproj.gguf")
    done = run_orch("models", "link", str(parts[1]), "--projector", str(eye))
    assert done.returncode == 0, done.stderr
    shown = run_orch("show", "big").stdout.decode()
    assert f"part 2         {parts[1]} (" in shown
    assert f"projector      {eye} (" in shown
    assert "capabilities   completion, chat, vision" in shown
    found = json.loads(run_orch("show", "big", "--json").stdout)
    assert set(found) == set(SHOW.prints)
    assert [(file["role"], file["part"]) for file in found["files"]] == [
        ("weights", 1),
        ("weights", 2),
        ("projector", 1),
    ]
    assert found["parts"] == [str(path) for path in parts]
    template = run_orch("show", "big", "--template")
    assert template.stdout.decode() == found["template"] + "\n"
    assert (
        b"has no chat template"
        in run_orch(
            "show", str(write_metadata(tmp_path / "n.gguf", {"general.architecture": "x"})), "--template"
        ).stderr
    )
    assert [set(row) for row in json.loads(run_orch("ls", "--json").stdout)] == [set(LS.prints)] * 2


def test_a_split_model_answers(run_orch: Orch, orch_home: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    """A worker loads it: linked, in a cache of links to blobs, and owned by the store."""
    parts = write_split(tiny_gguf, tmp_path / "split", "linked")
    cache = tmp_path / "snapshot"
    cache.mkdir()
    for number, part in enumerate(parts):
        blob = Path(shutil.copy(part, tmp_path / f"blob{number}"))
        (cache / part.name.replace("linked", "cached")).symlink_to(blob)
    store = Store(orch_home / "data")
    store.downloads.mkdir(parents=True)
    files: list[HeldFile] = []
    for number, part in enumerate(parts, 1):
        path = Path(shutil.copy(part, store.downloads / f"{number}.part"))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        files.append(HeldFile(path, path.stat().st_size, digest, "weights", number, owned=True))
    store.install("owned", files, source="hf://o/r@1/x.gguf")
    store.link(parts[0], "linked")
    store.link(cache / "cached-00001-of-00002.gguf", "cached")
    for name in ("linked", "cached", "owned"):
        done = run_orch("run", "-m", name, "-o", "max_tokens=3", "Hello", env={"ORCH_KEEP_ALIVE": "0"})
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()

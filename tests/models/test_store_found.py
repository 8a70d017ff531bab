# SPDX-License-Identifier: GPL-3.0-or-later
"""Models of Ollama, LM Studio and the Hugging Face cache, laid out as those programs lay them out."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from gguf_writing import write_metadata, write_projector, write_split
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llama_orch.models import Store
from llama_orch.models.found import Finding, FoundModel, find
from llama_orch.models.found.naming import as_name, free_name
from llama_orch.models.names import check_name
from llama_orch_utils.errors import ModelNotFound

_IMAGE = "application/vnd.ollama.image."


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


def llama(path: Path, word: str = "") -> Path:
    return write_metadata(path, {"general.architecture": "llama", "general.name": word})


class Ollama:
    """A folder as `ollama pull` leaves it (manifest/ of github.com/ollama/ollama)."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blobs").mkdir(parents=True)

    def blob(self, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (self.root / "blobs" / f"sha256-{digest}").write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    def layer(self, kind: str, content: bytes) -> dict[str, Any]:
        return {"mediaType": _IMAGE + kind, **self.blob(content)}

    def document(self, *layers: dict[str, Any]) -> dict[str, Any]:
        return {
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", **self.blob(b"{}")},
            "layers": list(layers),
        }

    def name(self, where: str, document: Any, folder: str = "manifests") -> Path:
        path = self.root / folder / where
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document) if not isinstance(document, str) else document)
        return path


def by_label(finding: Finding) -> dict[str, FoundModel]:
    return {model.label: model for model in finding.models}


def test_nothing_is_installed(home: Path, store: Store) -> None:
    assert find(store.list()) == Finding((), ())


def test_ollama(home: Path, store: Store, tmp_path: Path) -> None:
    ollama = Ollama(home / ".ollama" / "models")
    weights = llama(tmp_path / "w", "w").read_bytes()
    eye = write_projector(tmp_path / "p").read_bytes()
    words = ollama.layer("license", b"MIT"), ollama.layer("template", b"{{ .Prompt }}")
    plain = ollama.document(ollama.layer("model", weights), *words)
    ollama.name("registry.ollama.ai/library/qwen3/0.6b", plain)
    ollama.name("registry.ollama.ai/library/llava/latest", ollama.document(
        ollama.layer("model", weights + b"\0"), ollama.layer("projector", eye)))  # fmt: skip
    ollama.name("registry.ollama.ai/someone/Tuned/v1", plain)
    ollama.name("hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF/Q4_K_M", plain)
    ollama.name("registry.ollama.ai/library/gpt-oss/120b-cloud", ollama.document())
    ollama.name("registry.ollama.ai/library/mlx/latest", ollama.document(ollama.layer("tensor; name=a", b"safe")))
    finding = find(store.list(), "ollama")
    found = by_label(finding)
    assert {label: model.id for label, model in found.items() if model.problem is None} == {
        "qwen3:0.6b": "qwen3:0.6b",
        "llava:latest": "llava",
        "someone/Tuned:v1": "tuned:v1",
        "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M": "llama-3.2-1b-instruct-gguf:q4_k_m",
    }
    assert "no GGUF" in (found["gpt-oss:120b-cloud"].problem or "")
    assert "no GGUF" in (found["mlx:latest"].problem or "")
    llava = found["llava:latest"]
    assert llava.projector is not None
    assert llava.projector.read_bytes() == eye
    assert llava.size == len(weights) + 1 + len(eye)
    model = store.link(llava.weights[0], llava.id, projector=llava.projector, source=llava.source)
    assert model.digest == llava.weights[0].name.removeprefix("sha256-")
    assert "vision" in store.show("llava").capabilities
    assert by_label(find(store.list()))["llava:latest"].linked == "llava"
    assert sum(file.stat().st_size for file in store.folder.rglob("*") if file.is_file()) < 4000  # nothing was copied
    store.remove("llava")
    assert llava.weights[0].exists()


def test_ollama_of_2026_has_lists_of_manifests_below_another_folder(home: Path, store: Store, tmp_path: Path) -> None:
    ollama = Ollama(home / ".ollama" / "models")
    gguf = ollama.document(ollama.layer("model", llama(tmp_path / "w").read_bytes()))
    mlx = ollama.document(ollama.layer("tensor", b"safetensors")) | {"runner": "mlx", "format": "safetensors"}
    child = ollama.blob(json.dumps(gguf).encode())
    reference = {"mediaType": gguf["mediaType"], "digest": child["digest"], "runner": "llamacpp", "format": "gguf"}
    kind = "application/vnd.ollama.manifest.list.v2+json"
    listed = ollama.blob(json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [mlx, reference]}).encode())
    link = ollama.name("registry.ollama.ai/library/qwen4/8b", "", "manifests-v2")
    link.unlink()
    link.symlink_to(ollama.root / "blobs" / listed["digest"].replace(":", "-"))
    inline = {"mediaType": kind, "manifests": [gguf | {"runner": "ollama"}]}
    ollama.name("registry.ollama.ai/library/inline/8b", inline, "manifests-v2")
    ollama.name("registry.ollama.ai/library/inline/8b", "an older one", "manifests")
    found = by_label(find(store.list()))
    assert {label: model.problem for label, model in found.items()} == {"qwen4:8b": None, "inline:8b": None}


def test_ollama_folder_by_its_variable(
    home: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ollama = Ollama(tmp_path / "elsewhere")
    ollama.name(
        "registry.ollama.ai/library/a/1", ollama.document(ollama.layer("model", llama(tmp_path / "w").read_bytes()))
    )
    monkeypatch.setenv("OLLAMA_MODELS", str(ollama.root))
    assert [model.id for model in find(store.list()).models] == ["a:1"]


@pytest.mark.parametrize(
    "document",
    [
        "", "{", "[]", "3", "null", '{"layers": 3}', '{"layers": [3]}', '{"layers": [{}]}', "[" * 100_000, "\x00\xff",
        '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../../etc/passwd"}]}',
        '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "/etc/passwd"}]}',
        '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": null}]}',
        json.dumps({"layers": [{"mediaType": _IMAGE + "model", "digest": "sha256:" + "0" * 64}]}),
        json.dumps({"mediaType": "application/vnd.ollama.manifest.list.v2+json", "manifests": {"a": 1}}),
        json.dumps({"mediaType": "application/vnd.ollama.manifest.list.v2+json",
                    "manifests": [{"runner": "ollama", "digest": "sha256:../x"}]}),
    ],
)  # fmt: skip
def test_a_manifest_that_means_harm_or_nothing(home: Path, store: Store, document: str) -> None:
    ollama = Ollama(home / ".ollama" / "models")
    ollama.name("registry.ollama.ai/library/bad/1", document)
    (model,) = find(store.list()).models
    assert model.problem is not None


def test_lm_studio(home: Path, store: Store, tmp_path: Path, tiny_gguf: Path) -> None:
    models = home / ".lmstudio" / "models"
    llama(models / "lmstudio-community" / "Qwen3-0.6B-GGUF" / "Qwen3-0.6B-Q8_0.gguf")
    llama(models / "a" / "Seer-GGUF" / "Seer-Q4_K_M.gguf")
    write_projector(models / "a" / "Seer-GGUF" / "mmproj-Seer-BF16.gguf")
    eye = write_projector(models / "a" / "Seer-GGUF" / "mmproj-Seer-F16.gguf")
    parts = write_split(tiny_gguf, models / "b" / "Big-GGUF", "Big-Q8_0")
    write_split(tiny_gguf, models / "c" / "Cut-GGUF", "Cut-Q8_0")[0].unlink()
    (models / "d" / "Text").mkdir(parents=True)
    (models / "d" / "Text" / "no.gguf").write_text("not a model")
    (models / "d" / "Text" / "README.md").write_text("nothing")
    (models / "e").symlink_to(models)  # a loop
    finding = find(store.list(), "lm-studio")
    found = {model.id: model for model in finding.models}
    assert set(found) == {"qwen3-0.6b-q8_0", "seer-q4_k_m", "big-q8_0", "cut-q8_0", "no"}
    assert found["seer-q4_k_m"].projector == eye
    assert found["big-q8_0"].weights == tuple(parts)
    assert found["cut-q8_0"].problem == f"1 of its {len(parts)} parts are missing"
    assert found["no"].problem == "it is not a GGUF file"
    assert finding.named("b/Big-GGUF/" + parts[0].name).id == "big-q8_0"
    with pytest.raises(ModelNotFound) as caught:
        finding.named("big-q8")
    assert "big-q8_0" in (caught.value.hint or "")
    big = store.link(found["big-q8_0"].weights[0], "big-q8_0", source=found["big-q8_0"].source)
    assert big.parts == tuple(parts)
    assert big.path == parts[0]


def test_lm_studio_elsewhere(home: Path, store: Store, tmp_path: Path) -> None:
    llama(home / ".cache" / "lm-studio" / "models" / "a" / "b" / "old.gguf")
    llama(tmp_path / "pointed" / "models" / "a" / "b" / "pointed.gguf")
    llama(tmp_path / "disk" / "a" / "b" / "chosen.gguf")
    (home / ".lmstudio-home-pointer").write_text(f"{tmp_path / 'pointed'}\n")
    (tmp_path / "pointed" / "settings.json").write_text(json.dumps({"downloadsFolder": str(tmp_path / "disk")}))
    assert {model.id for model in find(store.list()).models} == {"old", "pointed", "chosen"}
    for bad in ("{", "[]", '{"downloadsFolder": 3}', '{"downloadsFolder": "a\\u0000b"}', "[" * 100_000):
        (tmp_path / "pointed" / "settings.json").write_text(bad)
        assert {model.id for model in find(store.list()).models} == {"old", "pointed"}


def hub(cache: Path, repository: str, revision: str, files: dict[str, bytes], main: bool = True) -> None:
    """As huggingface_hub lays out its cache: blobs by their digest, snapshots of relative links."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    for name, content in files.items():
        blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        link = folder / "snapshots" / revision / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    if main:
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / "main").write_text(revision)


def test_hugging_face(home: Path, store: Store, tmp_path: Path, tiny_gguf: Path) -> None:
    cache = home / ".cache" / "huggingface" / "hub"
    one = llama(tmp_path / "one", "one").read_bytes()
    two = llama(tmp_path / "two", "two").read_bytes()
    parts = write_split(tiny_gguf, tmp_path / "split", "Big-Q8_0")
    hub(cache, "Qwen/Qwen3-0.6B-GGUF", "old", {"Qwen3-0.6B-Q8_0.gguf": one, "Gone-Q4_0.gguf": one}, main=False)
    hub(cache, "Qwen/Qwen3-0.6B-GGUF", "new", {"Qwen3-0.6B-Q8_0.gguf": two})
    hub(cache, "big/Big-GGUF", "r", {f"Q8_0/{path.name}": path.read_bytes() for path in parts})
    hub(cache, "gpt2", "r", {"model.safetensors": b"no gguf"})
    (cache / "models--empty--repo").mkdir()
    (cache / "datasets--a--b").mkdir()
    found = by_label(find(store.list(), "hugging-face"))
    assert set(found) == {
        "hf://Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf",
        "hf://Qwen/Qwen3-0.6B-GGUF/Gone-Q4_0.gguf",
        f"hf://big/Big-GGUF/Q8_0/{parts[0].name}",
    }
    newest = found["hf://Qwen/Qwen3-0.6B-GGUF/Qwen3-0.6B-Q8_0.gguf"]
    assert newest.weights[0].read_bytes() == two
    small = store.link(newest.weights[0], newest.id, source=newest.source)
    assert (small.path.name, small.source) == (hashlib.sha256(two).hexdigest(), newest.label)
    big = store.link(found[f"hf://big/Big-GGUF/Q8_0/{parts[0].name}"].weights[0])
    assert big.id == "big-q8_0"
    assert big.opens.endswith("-00001-of-00002.gguf")  # the names of the links matter to llama.cpp
    linked = {model.linked for model in find(store.list()).models}
    assert linked == {small.id, big.id, None}


@pytest.mark.parametrize(
    ("variable", "value", "where"),
    [
        ("HF_HUB_CACHE", "{root}/cache", "cache"),
        ("HUGGINGFACE_HUB_CACHE", "{root}/cache", "cache"),
        ("HF_HOME", "{root}/hf", "hf/hub"),
        ("XDG_CACHE_HOME", "{root}/xdg", "xdg/huggingface/hub"),
    ],
)
def test_the_cache_by_its_variables(
    home: Path, store: Store, tmp_path: Path, variable: str, value: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub(tmp_path / where, "a/b", "r", {"m.gguf": llama(tmp_path / "w").read_bytes()})
    monkeypatch.setenv(variable, value.format(root=tmp_path))
    assert [model.id for model in find(store.list()).models] == ["m"]


def test_names_that_several_have(home: Path, store: Store, tmp_path: Path) -> None:
    store.link(llama(tmp_path / "own.gguf"), "same")
    llama(home / ".lmstudio" / "models" / "a" / "b" / "same.gguf")
    llama(home / ".lmstudio" / "models" / "a" / "c" / "Same.gguf")
    ollama = Ollama(home / ".ollama" / "models")
    ollama.name(
        "registry.ollama.ai/library/same/latest",
        ollama.document(ollama.layer("model", llama(tmp_path / "w").read_bytes())),
    )
    assert [model.id for model in find(store.list()).models] == ["same-ollama", "same-lm-studio", "same-lm-studio-2"]


def test_a_folder_that_cannot_be_read_is_told(home: Path, store: Store) -> None:
    (home / ".cache" / "huggingface").mkdir(parents=True)
    (home / ".cache" / "huggingface" / "hub").write_text("a file")
    (home / ".ollama" / "models").mkdir(parents=True)
    (home / ".ollama" / "models" / "manifests").symlink_to(home / ".ollama" / "models" / "manifests")  # ELOOP
    finding = find(store.list())
    assert {(app, folder.name) for app, folder, _ in finding.unreadable} == {
        ("ollama", "manifests"), ("hugging-face", "hub")}  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200), taken=st.sets(st.sampled_from(["a", "model", "a-ollama", "b:c", "b-ollama:c"])))
def test_every_name_becomes_one_that_may_be(text: str, taken: set[str]) -> None:
    name = free_name(as_name(text), "ollama", taken)
    assert check_name(name) == name
    assert name not in taken


def test_a_file_that_is_moved_in_meanwhile(home: Path, store: Store, tmp_path: Path) -> None:
    path = llama(home / ".lmstudio" / "models" / "a" / "b" / "x.gguf")
    (model,) = find(store.list()).models
    shutil.move(path, tmp_path / "away.gguf")
    with pytest.raises(ModelNotFound):
        store.link(model.weights[0], model.id)

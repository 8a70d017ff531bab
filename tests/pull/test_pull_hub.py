# SPDX-License-Identifier: GPL-3.0-or-later
"""Models of a hub: which files are chosen, where they end, and what is not fetched again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_server import Hub
from pull_home import Home, longer, sha256

from llama_orch_utils.errors import BadRequest, ModelNotFound, TargetError

REPO = "Qwen/Qwen3-0.6B-GGUF"


def test_a_name_of_the_catalogue_becomes_a_model(home: Home, hub: Hub, tiny_gguf: Path) -> None:
    data = tiny_gguf.read_bytes()
    hub.add(REPO, {"Qwen3-0.6B-Q8_0.gguf": data, "README.md": b"# Qwen3"})
    pulled = home.pull("qwen3:0.6b")
    assert pulled.model.id == "qwen3:0.6b"
    assert pulled.fetched == len(data)
    assert pulled.model.digest == sha256(data)
    assert pulled.model.path.read_bytes() == data
    assert pulled.model.licence == "apache-2.0"
    assert pulled.model.source == f"hf://{REPO}@{hub.repos[REPO].commit}/Qwen3-0.6B-Q8_0.gguf"
    assert home.begun == []
    again = home.pull("qwen3:0.6b")
    assert again.present
    assert again.fetched == 0
    assert hub.bytes_sent() == len(data)


def test_the_recommended_quantisation_or_the_one_that_is_named(home: Home, hub: Hub, tiny_gguf: Path) -> None:
    data = tiny_gguf.read_bytes()
    names = ["M-Q2_K.gguf", "M-Q4_K_M.gguf", "M-Q8_0.gguf", "M-imatrix.gguf", "mtp-M-Q4_K_M.gguf"]
    hub.add("o/M-GGUF", {name: longer(data, len(data) + n) for n, name in enumerate(names)})
    assert home.plan("hf://o/M-GGUF").quantisation == "Q4_K_M"
    plan = home.plan("hf://o/M-GGUF:q8_0")
    assert [each.file.name for each in plan.files] == ["M-Q8_0.gguf"]
    assert plan.name == "m:q8_0"
    assert home.plan("hf://o/M-GGUF/M-Q2_K.gguf").name == "m-q2_k"
    assert home.plan("hf.co/o/M-GGUF:Q8_0") == plan
    assert (
        home.plan(f"https://huggingface.co/o/M-GGUF/blob/{hub.repos['o/M-GGUF'].commit}/M-Q8_0.gguf").name == "m-q8_0"
    )
    with pytest.raises(ModelNotFound, match="has no Q5_K_M; it has Q2_K, Q4_K_M, Q8_0"):
        home.plan("hf://o/M-GGUF:Q5_K_M")
    with pytest.raises(ModelNotFound, match="has no GGUF file other"):
        home.plan("hf://o/M-GGUF/other.gguf")


def test_a_repository_without_gguf_or_with_several_models_says_so(home: Home, hub: Hub, tiny_gguf: Path) -> None:
    data = tiny_gguf.read_bytes()
    hub.add("o/weights", {"model.safetensors": data})
    hub.add("o/two", {"A-Q4_K_M.gguf": data, "B-Q4_K_M.gguf": longer(data, len(data) + 1)})
    with pytest.raises(ModelNotFound, match="has no GGUF files"):
        home.plan("hf://o/weights")
    with pytest.raises(BadRequest, match="several such files: A-Q4_K_M, B-Q4_K_M") as caught:
        home.plan("hf://o/two")
    assert caught.value.hint == "name one: orch pull hf://o/two/A-Q4_K_M.gguf"


def test_the_same_in_one_file_and_in_parts_is_taken_in_one_file(home: Home, hub: Hub, tiny_gguf: Path) -> None:
    data = tiny_gguf.read_bytes()
    parts = {f"m-mxfp4-0000{n}-of-00002.gguf": longer(data, len(data) + n) for n in (1, 2)}
    hub.add("o/m", {**parts, "m-MXFP4.gguf": data})
    assert [each.file.name for each in home.plan("hf://o/m").files] == ["m-MXFP4.gguf"]


def test_a_split_model_with_its_projector(home: Home, hub: Hub, split_model: dict[str, bytes]) -> None:
    hub.add("o/V-GGUF", split_model)
    pulled = home.pull("hf://o/V-GGUF:Q8_0")
    assert len(pulled.model.parts) == 2
    assert pulled.model.projector is not None
    assert pulled.model.projector.read_bytes() == split_model["mmproj-F16.gguf"]
    assert [path.read_bytes() for path in pulled.model.parts] == [
        split_model[f"V-Q8_0-0000{n}-of-00002.gguf"] for n in (1, 2)
    ]
    assert pulled.fetched == sum(
        len(split_model[name]) for name in split_model if name.endswith(".gguf") and "BF16" not in name
    )


def test_without_its_projector_or_with_another(home: Home, hub: Hub, split_model: dict[str, bytes]) -> None:
    hub.add("o/V-GGUF", split_model)
    assert [each.file.role for each in home.plan("hf://o/V-GGUF:Q8_0", projector="none").files] == ["weights"] * 2
    named = home.plan("hf://o/V-GGUF:Q8_0", projector="mmproj-BF16.gguf")
    assert named.files[-1].file.name == "mmproj-BF16.gguf"
    with pytest.raises(ModelNotFound, match="has no projector x"):
        home.plan("hf://o/V-GGUF:Q8_0", projector="x.gguf")


def test_a_part_that_the_repository_lacks(home: Home, hub: Hub, split_model: dict[str, bytes]) -> None:
    hub.add("o/V-GGUF", {name: data for name, data in split_model.items() if "00002-of" not in name})
    with pytest.raises(TargetError, match="only 1 of the 2 parts") as caught:
        home.plan("hf://o/V-GGUF:Q8_0")
    assert caught.value.code == "incomplete"


def test_a_projector_is_not_fetched_twice_for_two_quantisations(
    home: Home, hub: Hub, split_model: dict[str, bytes], tiny_gguf: Path
) -> None:
    whole = longer(tiny_gguf.read_bytes(), 2_000_000, 9)
    hub.add("o/V-GGUF", {**split_model, "V-Q4_K_M.gguf": whole})
    home.pull("hf://o/V-GGUF:Q8_0")
    assert home.pull("hf://o/V-GGUF:Q4_K_M").fetched == len(whole)


def test_what_huggingface_hub_has_is_used_where_it_lies(home: Home, hub: Hub, tiny_gguf: Path) -> None:
    data = tiny_gguf.read_bytes()
    hub.add(REPO, {"Qwen3-0.6B-Q8_0.gguf": data})
    cached = home.fetched_by_huggingface_hub(REPO, "Qwen3-0.6B-Q8_0.gguf")
    before = hub.bytes_sent()
    pulled = home.pull("qwen3:0.6b")
    assert pulled.fetched == 0
    assert hub.bytes_sent() == before
    assert pulled.model.path == cached.resolve()
    assert not pulled.model.owned
    home.store.remove("qwen3:0.6b")
    assert cached.exists()


def test_offline_uses_the_cache_of_huggingface_hub_and_asks_nobody(home: Home, hub: Hub, tiny_gguf: Path) -> None:
    hub.add(REPO, {"Qwen3-0.6B-Q8_0.gguf": tiny_gguf.read_bytes()})
    home.fetched_by_huggingface_hub(REPO, "Qwen3-0.6B-Q8_0.gguf")
    hub.seen.clear()
    assert home.pull("qwen3:0.6b", offline=True).fetched == 0
    assert hub.seen == []


def test_a_file_of_the_cache_that_is_wrong_is_refused(home: Home, hub: Hub, tiny_gguf: Path) -> None:
    data = tiny_gguf.read_bytes()
    hub.add(REPO, {"Qwen3-0.6B-Q8_0.gguf": data})
    cached = home.fetched_by_huggingface_hub(REPO, "Qwen3-0.6B-Q8_0.gguf")
    cached.resolve().write_bytes(data[:-1] + b"\x01")
    with pytest.raises(TargetError, match="is not what it must be") as caught:
        home.pull("qwen3:0.6b")
    assert caught.value.code == "wrong_digest"
    home.assert_nothing_installed()


def test_a_newer_version_replaces_the_old_one(home: Home, hub: Hub, tiny_gguf: Path) -> None:
    old, new = (longer(tiny_gguf.read_bytes(), 1_900_000, seed) for seed in (1, 2))
    hub.add(REPO, {"Qwen3-0.6B-Q8_0.gguf": old})
    home.pull("qwen3:0.6b")
    hub.add(REPO, {"Qwen3-0.6B-Q8_0.gguf": new})
    assert home.pull("qwen3:0.6b").model.digest == sha256(new)
    assert len(list((home.folder / "data" / "models" / "blobs").iterdir())) == 1


def test_a_taken_name_is_refused_before_anything_is_fetched(home: Home, hub: Hub, tiny_gguf: Path) -> None:
    hub.add(REPO, {"Qwen3-0.6B-Q8_0.gguf": longer(tiny_gguf.read_bytes(), 1_900_000)})
    home.store.link(tiny_gguf, "qwen3:0.6b")
    with pytest.raises(BadRequest, match="already stands for"):
        home.pull("qwen3:0.6b")
    assert hub.bytes_sent() == 0


def test_a_small_file_that_the_hub_keeps_in_git_is_checked_by_its_git_digest(home: Home, hub: Hub) -> None:
    import struct

    tiny = b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(400)
    hub.add("o/tiny", {"t-Q8_0.gguf": tiny})
    assert home.pull("hf://o/tiny").model.path.read_bytes() == tiny
    hub.fail("resolve", flip=True, after=300)
    hub.add("o/tiny2", {"t-Q8_0.gguf": tiny + b"2"})
    with pytest.raises(TargetError, match="not what they must be"):
        home.pull("hf://o/tiny2")


def test_a_mirror_that_sends_the_bytes_itself(home: Home, hub: Hub, tiny_gguf: Path) -> None:
    data = longer(tiny_gguf.read_bytes(), 2_000_000)
    hub.add(REPO, {"Qwen3-0.6B-Q8_0.gguf": data})
    hub.direct = True
    hub.fail("resolve", cut=True, after=700_000)
    assert home.pull("qwen3:0.6b").fetched == len(data)
    assert [each.start for each in hub.requests("resolve")] == [0, 700_000]


def test_a_repository_that_was_renamed(home: Home, hub: Hub, tiny_gguf: Path) -> None:
    data = tiny_gguf.read_bytes()
    hub.add("new/name", {"M-Q8_0.gguf": data}, token="hf_x")
    home.token("hf_x")
    hub.fail("api", location="/api/models/new/name")
    hub.fail("resolve", location=f"/new/name/resolve/{hub.repos['new/name'].commit}/M-Q8_0.gguf")
    assert home.pull("hf://old/name").model.digest == sha256(data)


def test_a_hub_that_states_another_digest_than_it_listed(home: Home, hub: Hub, tiny_gguf: Path) -> None:
    hub.add(REPO, {"Qwen3-0.6B-Q8_0.gguf": tiny_gguf.read_bytes()})
    hub.fail("resolve", header={"X-Linked-Etag": f'"{"a" * 64}"'})
    with pytest.raises(TargetError, match="another file at the server") as caught:
        home.pull("qwen3:0.6b")
    assert caught.value.code == "file_changed"
    home.assert_nothing_installed()


def test_a_mirror_that_tells_no_digests(home: Home, hub: Hub) -> None:
    import json

    hub.add(REPO, {})
    told = {"sha": hub.repos[REPO].commit, "siblings": [{"rfilename": "Qwen3-0.6B-Q8_0.gguf"}]}
    hub.fail("api", body=json.dumps(told).encode())
    with pytest.raises(TargetError, match="neither size nor digest"):
        home.pull("qwen3:0.6b")

# SPDX-License-Identifier: GPL-3.0-or-later
"""What a name, an address or a hub can say, and that none of it leads out of the store or to another host."""

from __future__ import annotations

import json
import string
from pathlib import Path

import pytest
from hub_server import Hub
from hypothesis import given
from hypothesis import strategies as st
from pull_home import Home, sha256

from llama_orch.models.download.partial import Partial
from llama_orch.models.download.way import Way, origin
from llama_orch.models.hub.quantisations import quantisation_of
from llama_orch.models.names import check_name
from llama_orch.models.source import FileSource, HubSource, UrlSource, read_source
from llama_orch_utils.errors import BadRequest, NotAllowed, OrchError, TargetError


@pytest.mark.parametrize(
    ("text", "repository", "revision", "quantisation", "file"),
    [
        ("hf://Qwen/Qwen3-0.6B-GGUF", "Qwen/Qwen3-0.6B-GGUF", None, None, None),
        ("hf://Qwen/Qwen3-0.6B-GGUF:Q8_0", "Qwen/Qwen3-0.6B-GGUF", None, "Q8_0", None),
        ("hf://o/r@main:Q4_K_M", "o/r", "main", "Q4_K_M", None),
        ("hf://o/r@refs/pr/7/a/b.gguf", "o/r", "refs/pr/7", None, "a/b.gguf"),
        ("hf://o/r/folder/x-00001-of-00002.gguf", "o/r", None, None, "folder/x-00001-of-00002.gguf"),
        ("hf.co/o/r:Q8_0", "o/r", None, "Q8_0", None),
        ("https://huggingface.co/o/r", "o/r", None, None, None),
        ("https://huggingface.co/o/r/resolve/main/x.gguf?download=true", "o/r", None, None, "x.gguf"),
        ("https://huggingface.co/o/r/blob/abc/x.gguf", "o/r", "abc", None, "x.gguf"),
    ],
)
def test_addresses_of_the_hub(
    text: str, repository: str, revision: str | None, quantisation: str | None, file: str | None
) -> None:
    assert read_source(text) == HubSource(repository, revision, quantisation, file)


@pytest.mark.parametrize(
    "text",
    [
        "hf://", "hf://x", "hf://../..", "hf://o/..", "hf://o/r@..", "hf://o/r/../../etc/passwd", "hf://o/r//x.gguf",
        "hf://o/r/./x.gguf", "hf://o/r:a/b", "hf://o/r?x=1", "hf://o/r@", "hf://o\\r/x", "hf://o/r/a\\b.gguf",
        "hf://-o/r", "hf://o/r--x", "hf://o/r.git", "hf://user:pw@host/r", "https://", "https:///x.gguf",
        "https://user:secret@host/x.gguf", "https://host:port/x.gguf", "https://[::1/x", "http://host/x.gguf",
        "ftp://host/x.gguf", "javascript://x", "file://host/x.gguf", "file://x.gguf", "file:///a%00b.gguf",
        "./model.gguf", "~/model.gguf", "/tmp/model.gguf", "model.gguf", "a\nb", "x" * 5000,
        "https://huggingface.co/settings/tokens/x/y", "https://host/\x1b[2J.gguf", "file://[",
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_source(text)
    assert caught.value.hint
    assert "secret" not in caught.value.message


@given(st.text(max_size=80))
def test_any_text_is_a_source_a_name_or_refused(text: str) -> None:
    for each in (text, f"hf://{text}", f"https://{text}", f"file://{text}"):
        try:
            source = read_source(each)
        except BadRequest:
            continue
        if source is not None:
            assert check_name(source.name)
            assert "\n" not in source.shown


@given(st.text(alphabet=string.printable, max_size=60))
def test_a_quantisation_is_found_or_not_and_never_more(name: str) -> None:
    found = quantisation_of(name)
    assert found is None or found.isascii()


@pytest.mark.parametrize(
    ("name", "quantisation"),
    [
        ("Qwen3-0.6B-Q8_0.gguf", "Q8_0"),
        ("gemma-4-E4B-it-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("nomic-embed-text-v1.5.Q4_K_M.gguf", "Q4_K_M"),
        ("gpt-oss-120b-mxfp4-00001-of-00003.gguf", "MXFP4"),
        ("BF16/model-00001-of-00002.gguf", "BF16"),
        ("qwen2.5-0.5b-instruct-fp16.gguf", "F16"),
        ("model-iq3_xxs.gguf", "IQ3_XXS"),
        ("Model-TQ1_0.gguf", "TQ1_0"),
        ("model.gguf", None),
        ("SmolQ4.gguf", None),
    ],
)
def test_quantisations_in_names(name: str, quantisation: str | None) -> None:
    assert quantisation_of(name) == quantisation


@pytest.mark.parametrize("key", ["", "../x", "a/b", "A", "x" * 10, "..", "a\0"])
def test_a_key_is_hexadecimal_or_nothing(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError):
        Partial(tmp_path, key)


HOSTILE = [
    "../../../../evil.gguf", "/etc/evil.gguf", "..\\..\\evil.gguf", "a/../../evil.gguf", "a\0b.gguf", "C:\\evil.gguf",
    "\x1b]0;owned\x07.gguf", "x\n.gguf", "", ".", "..",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hub_that_lies_about_names_writes_nowhere(home: Home, hub: Hub, tiny_gguf: Path, name: str) -> None:
    data = tiny_gguf.read_bytes()
    hub.add("o/r", {"good-Q8_0.gguf": data})
    lfs = {"sha256": sha256(data)}
    siblings = [{"rfilename": each, "size": len(data), "lfs": lfs} for each in (name, "good-Q8_0.gguf")]
    described = {"sha": hub.repos["o/r"].commit, "siblings": siblings, "cardData": {"license": "x\x1b[2Jy"}}
    hub.fail("api", body=json.dumps(described).encode())
    before = {path for path in home.folder.parent.glob("*") if "evil" in path.name}
    pulled = home.pull("hf://o/r")
    assert pulled.model.licence is None
    assert {path for path in home.folder.parent.glob("*") if "evil" in path.name} == before
    assert all(path.name.startswith("sha256-") for path in (home.folder / "data" / "models" / "blobs").iterdir())


@pytest.mark.parametrize("digest", ["../../../../tmp/evil", "0" * 63, "Z" * 64, 7, None, ["0" * 64]])
def test_a_hub_that_lies_about_digests(home: Home, hub: Hub, tiny_gguf: Path, digest: object) -> None:
    data = tiny_gguf.read_bytes()
    hub.add("o/r", {"m-Q8_0.gguf": data})
    siblings = [{"rfilename": "m-Q8_0.gguf", "size": len(data), "lfs": {"sha256": digest}}]
    hub.fail("api", body=json.dumps({"sha": hub.repos["o/r"].commit, "siblings": siblings}).encode())
    with pytest.raises(OrchError):
        home.pull("hf://o/r")
    home.assert_nothing_installed()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["sha", "siblings", "rfilename", "size", "lfs", "sha256", "cardData", "license", "gated", "blobId"]
                ),
                inner,
                max_size=6,
            )
        ),
        max_leaves=20,
    )
)
def test_any_description_is_read_or_refused(document: object) -> None:
    from llama_orch.models.hub.repository import _parsed

    try:
        repository = _parsed("o/r", document)
    except TargetError:
        return
    assert all(".." not in file.path.split("/") for file in repository.files)


@pytest.mark.parametrize(
    ("url", "location", "way"),
    [
        ("https://hub.example/x", "http://hub.example/x", {"hub": True}),
        ("https://hub.example/x", "https://127.0.0.1/x", {"hub": True}),
        ("https://hub.example/x", "https://169.254.169.254/latest/meta-data", {"hub": True}),
        ("https://hub.example/x", "https://[::1]/x", {"hub": True}),
        ("https://hub.example/x", "https://10.0.0.8/x", {"hub": True}),
        ("https://hub.example/x", "https://localhost/x", {"hub": True}),
        ("https://hub.example/x", "https://2130706433/x", {"hub": True}),
        ("https://hub.example/x", "https://0x7f.1/x", {"hub": True}),
        ("https://hub.example/x", "https://printer.local/x", {"hub": True}),
        ("https://hub.example/x", "file:///etc/passwd", {"hub": True}),
        ("https://files.example/x", "https://cdn.example/x", {}),
        ("https://files.example/x", "https://files.example:8443/x", {}),
        ("https://files.example/x", "https://evil.example/x", {"hosts": frozenset({"cdn.example"})}),
        ("https://files.example/x", "https://files.example.evil.example/x", {}),
    ],
)
def test_where_a_redirect_may_not_lead(url: str, location: str, way: dict[str, object]) -> None:
    with pytest.raises(NotAllowed):
        Way(url, **way).onward(url, location)  # type: ignore[arg-type]


def test_where_a_redirect_may_lead_and_what_goes_along() -> None:
    way = Way("https://hub.example/x", hub=True, headers={"authorization": "Bearer t"})
    there = way.onward("https://hub.example/x", "https://cas-bridge.cdn.example/y?sig=1")
    assert way.headers_for(there) == {}
    assert way.headers_for(way.onward("https://hub.example/x", "/api/resolve-cache/x")) != {}
    assert way.headers_for("https://hub.example:444/x") == {}
    assert Way("http://files.example/x").onward("http://files.example/x", "https://files.example/x")
    assert way.headers_for("http://hub.example/x") == {}
    assert "Bearer" not in repr(way)
    assert origin("https://Hub.Example./a") == ("https", "hub.example", 443)


def test_other_sources() -> None:
    assert read_source("qwen3:0.6b") is None
    assert isinstance(read_source("https://host/x.gguf"), UrlSource)
    assert isinstance(read_source("http://127.0.0.1:9/x.gguf"), UrlSource)
    assert isinstance(read_source("http://host/x.gguf", digest="0" * 64), UrlSource)
    assert read_source("file:///a/b%20c.gguf") == FileSource(Path("/a/b c.gguf"))

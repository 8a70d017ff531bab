# SPDX-License-Identifier: GPL-3.0-or-later
"""Attachments: told by their content, named, bounded, and images only for models that see."""

from __future__ import annotations

import base64
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch_utils import Attachment, BadRequest, Client, ModelInfo, UnsupportedByTarget
from llama_orch_utils.files import attachment
from llama_orch_utils.files.kind import kind_of
from llama_orch_utils.files.message import check_sight, message
from llama_orch_utils.testing import FakeTap

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0JFIF", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wave"),
        (b"GIF89a...", "image/gif"),
        (b"%PDF-1.7", "application/pdf"),
        (b"PK\x03\x04...", "application/zip"),
        (b"GGUF\x03\x00", "application/x-gguf"),
        (b"BM is also how a text may begin, and this one does", "text/plain"),
        (b"BM\x1d\x00\x00\x00" + bytes(22), "application/octet-stream"),
        (b"BM\x1e\x00\x00\x00" + bytes(24), "image/bmp"),
        ("Grüße 😀\n".encode(), "text/plain"),
        (b"\xef\xbb\xbfwith a mark", "text/plain"),
        ("Grüße".encode("latin-1"), "application/octet-stream"),
        (b"zero \x00 byte", "application/octet-stream"),
        (b"\x00\x00\x00\x18ftypavif", "image/avif"),
        (b"\x00\x00\x00\x18ftypisom", "video/mp4"),
    ],
)
def test_kinds_are_told_by_content(content: bytes, kind: str):
    assert kind_of(content) == kind


@given(st.binary(max_size=200))
def test_no_content_is_too_odd(content: bytes):
    assert "/" in kind_of(content)


def test_a_text_goes_by_its_name(tmp_path: Path):
    file = tmp_path / 'a"<b>.txt'
    file.write_bytes(b"\xef\xbb\xbfone\ntwo\n\n")
    read = Attachment.read(file)
    assert (read.kind, read.is_image) == ("text/plain", False)
    assert read.text == '<file name="a__b_.txt">\none\ntwo\n</file>'
    assert message("What is it?", [read]) == {"role": "user", "content": f"{read.text}\n\nWhat is it?"}
    assert message("", [read])["content"] == read.text
    with pytest.raises(BadRequest):
        message(" ", [])


def test_a_name_lies(tmp_path: Path):
    (tmp_path / "notes.txt").write_bytes(PNG)
    assert Attachment.read(tmp_path / "notes.txt").is_image
    (tmp_path / "cat.png").write_text("no image")
    assert not Attachment.read(tmp_path / "cat.png").is_image


def test_an_image_is_a_part(tmp_path: Path, tap: FakeTap, client: Client):
    image = Attachment("cat.png", PNG)
    said = message("What is it?", [image, Attachment("n.txt", b"text")])
    client.chat([said])
    text, part = tap.asked[0].messages[0]["content"]
    assert text == {"type": "text", "text": '<file name="n.txt">\ntext\n</file>\n\nWhat is it?'}
    assert part["type"] == "image_url"
    head, _, data = part["image_url"]["url"].partition(",")
    assert (head, base64.b64decode(data)) == ("data:image/png;base64", PNG)
    assert len(repr(Attachment("cat.png", PNG * 1000))) < 80


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"%PDF-1.7", "application/pdf"), (b"\x00\x01", "octet-stream"), (b"GGUF", "x-gguf")],
)
def test_what_no_model_takes_is_refused_by_its_kind(content: bytes, words: str):
    with pytest.raises(BadRequest, match=words) as caught:
        Attachment("thing", content)
    assert caught.value.hint
    assert "thing" in str(caught.value)


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(attachment, "MOST_TEXT_BYTES", 100)
    monkeypatch.setattr(attachment, "MOST_IMAGE_BYTES", 1024**2)
    assert Attachment("a", b"x" * 100)
    with pytest.raises(BadRequest, match="larger than"):
        Attachment("a", b"x" * 101)
    (tmp_path / "big.png").write_bytes(PNG + bytes(2 * 1024**2))
    with pytest.raises(BadRequest, match="larger than 1 MiB"):
        Attachment.read(tmp_path / "big.png")


def test_places_that_are_no_file(tmp_path: Path):
    for place in (tmp_path / "nothere", tmp_path, "/dev/zero"):
        with pytest.raises(BadRequest, match=str(place)) as caught:
            Attachment.read(place)
        assert caught.value.hint


def test_only_models_that_see_get_images():
    image = [Attachment("cat.png", PNG)]
    check_sight(image, ModelInfo("m", capabilities=frozenset({"vision"})), "m", "t")
    check_sight([Attachment("a.txt", b"text")], None, "m", "t")
    for model, words in (
        (ModelInfo("m", capabilities=frozenset({"tools"})), r"m does not see \(it can: tools\)"),
        (ModelInfo("m", capabilities=frozenset()), r"\(it can: text\)"),
        (ModelInfo("m"), "does not say"),
        (None, "does not say"),
    ):
        with pytest.raises(UnsupportedByTarget, match=f"cat.png is an image.*{words}") as caught:
            check_sight(image, model, "m", "t")
        assert (caught.value.capability, caught.value.target) == ("vision", "t")


@pytest.mark.parametrize(
    ("entry", "capabilities"),
    [
        ({}, None),
        ({"capabilities": ["tools", "vision"]}, {"tools", "vision"}),
        ({"capabilities": ["completion", "multimodal"]}, {"completion", "multimodal", "vision"}),
        ({"capabilities": {"tools": True, "vision": False}}, {"tools"}),
        ({"architecture": {"input_modalities": ["text", "image"]}}, {"vision"}),
        ({"architecture": {"input_modalities": ["text"]}}, set()),
        ({"capabilities": "vision"}, None),
    ],
)
def test_capabilities_as_targets_write_them(tap: FakeTap, client: Client, entry: dict, capabilities: set | None):
    from llama_orch_utils.client.answer import models_of

    assert models_of({"data": [{"id": "m", **entry}]})[0].capabilities == capabilities


class _Pages(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/moved/cat.png":
            self.send_response(302)
            self.send_header("location", "/cat.png")
            self.end_headers()
            return
        body = {"/cat.png": PNG, "/loop": b""}.get(self.path)
        if self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b"x" * 65536)
        self.send_response(404 if body is None else 200)
        self.send_header("content-length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args: object) -> None:
        """Nothing."""


class _Site(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A reader that has enough goes away."""


@pytest.fixture
def site() -> Iterator[str]:
    with _Site(("127.0.0.1", 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_addresses_are_fetched_from_here(site: str, monkeypatch: pytest.MonkeyPatch):
    image = Attachment.fetch(f"{site}/moved/cat.png")
    assert (image.name, image.kind, image.content) == ("cat.png", "image/png", PNG)
    monkeypatch.setattr(attachment, "MOST_IMAGE_BYTES", 1024**2)
    for address, words in (
        (f"{site}/nothere", "status 404"),
        (f"{site}/endless", "larger than 1 MiB"),
        ("http://127.0.0.1:1/x", "cannot fetch"),
        ("file:///etc/passwd", "no http"),
        ("http://", "no http"),
        ("http://[::1", "no address"),
    ):
        with pytest.raises(BadRequest, match=words) as caught:
            Attachment.fetch(address)
        assert caught.value.hint

# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of every kind, as people have them and as enemies make them."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import docx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from llama_orch_utils.applets.files import Files
from llama_orch_utils.documents import Place, load, read, reading
from llama_orch_utils.documents.source import Source, gather
from llama_orch_utils.errors import AppletError, BadRequest


def pdf(*pages: str, password: str | None = None) -> bytes:
    """A PDF whose pages say these things in Helvetica."""
    writer = PdfWriter()
    for text in pages:
        page = writer.add_blank_page(300, 300)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode() if text else b"")
        page[NameObject("/Contents")] = stream
    if password is not None:
        writer.encrypt(password, algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def word(*paragraphs: str, rows: tuple[tuple[str, ...], ...] = ()) -> bytes:
    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    if rows:
        table = document.add_table(len(rows), len(rows[0]))
        for at, row in enumerate(rows):
            for column, text in enumerate(row):
                table.cell(at, column).text = text
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def test_text_knows_its_lines() -> None:
    document = read("a.txt", b"\xef\xbb\xbfone\r\ntwo\r\nthree \xe2\x82\xac")
    assert (document.kind, document.text) == ("text", "one\ntwo\nthree €")
    assert str(document.place(document.text.index("three"))) == "line 3"
    assert read("a.md", "é".encode("utf-16")).text == "é"


def test_html_is_what_a_reader_sees_by_its_lines() -> None:
    page = b"""<!doctype html><html><head><title>Bread &amp; butter</title><style>p{}</style></head>
<body><h1>Bread</h1>
<p>It <b>keeps</b><br>long.</p>
<script>alert("no")</script><!-- nor this --><p hidden>unseen</p>
<div>before<p>inside</p>after</div></body></html>"""
    document = read("a.html", page)
    assert document.text.split("\n\n") == [
        "Bread & butter", "Bread", "It keeps long.", "before", "inside", "after"
    ]  # fmt: skip
    assert document.place(document.text.index("It keeps")) == Place("line", 3)
    assert document.place(document.text.index("inside")) == Place("line", 5)


def test_deep_html_does_not_overflow_the_stack() -> None:
    assert read("deep.html", b"<div>" * 3000 + b"core" + b"</div>" * 3000).text == "core"


def test_pdf_knows_its_pages() -> None:
    document = read("a.pdf", pdf("Page the first", "", "And the third"))
    assert document.text == "Page the first\n\nAnd the third"
    assert [str(document.place(document.text.index(word))) for word in ("first", "third")] == ["page 1", "page 3"]


def test_docx_keeps_the_order_of_paragraphs_and_tables() -> None:
    document = read("a.docx", word("Hello", "", "World", rows=(("a", "b"), ("1", "2"))))
    assert document.text == "Hello\n\nWorld\n\na | b\n\n1 | 2"
    assert document.place(document.text.index("World")) == Place("paragraph", 2)


def test_csv_rows_carry_their_columns_and_lines() -> None:
    document = read("a.csv", b'name;note\nAda;"two\nlines"\n\nBob;\n')
    assert document.text == "name: Ada\nnote: two lines\n\nname: Bob"
    assert document.place(document.text.index("Bob")) == Place("line", 5)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.txt", b"", "a.txt is empty"),
        ("a.txt", b" \n\t", "a.txt is empty"),
        ("a.txt", b"one\ncaf\xe9", "not UTF-8 (line 2)"),
        ("a.txt", b"a\0b", "NUL"),
        ("a.csv", b"a,b\n1,2,3\n", "a.csv, line 2: 3 cells under 2 columns"),
        ("a.csv", b"a,a\n1,2\n", "name each column once"),
        ("a.csv", b'a,b\n"x,2\n', "line 2"),
        ("a.pdf", b"%PDF-1.7 and nothing else", "broken PDF"),
        ("a.pdf", b"no pdf", "no PDF inside"),
        ("a.txt", b"%PDF-1.7", "holds PDF"),
        ("a.docx", b"PK\x03\x04 broken", "broken DOCX"),
        ("a.docx", b"text", "no DOCX inside"),
        ("a.xyz", b"text", "no document that can be read"),
        ("noname", b"text", "no document that can be read"),
        ("a.html", b"<script>only()</script>", "holds no text"),
    ],
)
def test_what_cannot_be_read_says_so(name: str, data: bytes, words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(name, data)
    assert words in caught.value.message
    assert caught.value.hint


def test_scans_and_encrypted_pdfs_say_what_to_do() -> None:
    with pytest.raises(BadRequest, match="holds no text") as caught:
        read("scan.pdf", pdf("", ""))
    assert "recognition" in (caught.value.hint or "")
    locked = pdf("secret", password="word")
    assert PdfReader(io.BytesIO(locked)).is_encrypted
    with pytest.raises(BadRequest, match="encrypted"):
        read("locked.pdf", locked)


def test_sizes_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_BYTES", 100)
    with pytest.raises(BadRequest, match="larger"):
        read("a.txt", b"x" * 101)
    monkeypatch.setattr(reading, "MOST_CHARACTERS", 50)
    with pytest.raises(BadRequest, match="more than"):
        read("a.txt", b"x" * 51)


def test_a_docx_that_unpacks_to_gigabytes_is_refused_unpacked() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("word/document.xml", "w") as part:
        for _ in range(260):
            part.write(bytes(1024 * 1024))
    with pytest.raises(BadRequest, match="unpacks to more"):
        read("bomb.docx", buffer.getvalue())


def test_a_folder_gives_what_can_be_read_and_nothing_outside(tmp_path: Path) -> None:
    inside = tmp_path / "docs"
    (inside / "deeper").mkdir(parents=True)
    (inside / "b.md").write_text("# B")
    (inside / "deeper" / "a.txt").write_text("A")
    (inside / "photo.jpg").write_bytes(b"\xff\xd8")
    (inside / ".hidden.txt").write_text("no")
    (tmp_path / "secret.txt").write_text("canary")
    (inside / "link.txt").symlink_to(tmp_path / "secret.txt")
    files = Files([inside])
    assert {each.name: each.text for each in load(files, inside)} == {"b.md": "# B", "deeper/a.txt": "A"}
    assert [each.name for each in load(files, inside / "b.md")] == ["b.md"]
    for path in (tmp_path / "secret.txt", inside / "link.txt", inside / ".." / "secret.txt"):
        with pytest.raises(AppletError, match="outside"):
            list(load(files, path))
    with pytest.raises(BadRequest, match="no document that can be read"):
        list(load(files, inside / "photo.jpg"))


def test_gather_takes_places_and_texts_and_refuses_twins(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A")
    files = Files([tmp_path])
    sources = [Source(name="b", text="B")]
    assert [each.name for each in gather(files, tmp_path, sources, "C")] == ["a.txt", "b", "text"]
    with pytest.raises(BadRequest, match="no document"):
        gather(files, None, (), " ")
    with pytest.raises(BadRequest, match="two documents are called b"):
        gather(files, None, [*sources, *sources])


@given(st.sampled_from(sorted(reading.SUFFIXES)), st.binary(max_size=300))
def test_any_bytes_give_a_document_or_a_clear_error(suffix: str, data: bytes) -> None:
    for head in (b"", b"%PDF-1.4\n", b"PK\x03\x04", b"<p>"):
        try:
            document = read(f"x{suffix}", head + data)
        except BadRequest:
            continue
        assert document.text.strip()
        assert document.place(len(document.text) - 1).number >= 1

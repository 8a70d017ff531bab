# SPDX-License-Identifier: GPL-3.0-or-later
"""One file, fetched to the end: what is there is kept, what is missing is asked for, and the digest decides."""

from __future__ import annotations

import hashlib
import os
import re
import time
from typing import BinaryIO

from llama_orch.models.download.partial import Partial, Version
from llama_orch.models.download.patience import Patience
from llama_orch.models.download.progress import Kind, Step, Watch
from llama_orch.models.download.refusal import refusal
from llama_orch.models.download.remote_file import RemoteFile
from llama_orch.models.download.trouble import AGAIN, Broken, Changed
from llama_orch.models.download.way import host_of
from llama_orch.models.download.web import Answer, Web
from llama_orch_utils.errors import TargetError, TargetUnreachable

_CHUNK = 1 << 20
_MOST_STARTS = 5
_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_DIGEST = re.compile(r'"?([0-9a-f]{64})"?')


class Fetch:
    """Fetches `file` into `partial`, whose lock the caller holds. `source` is written down beside the bytes."""

    def __init__(
        self, web: Web, file: RemoteFile, partial: Partial, *, patience: Patience, watch: Watch, source: str
    ) -> None:
        self._web, self._file, self._partial = web, file, partial
        self._patience, self._watch, self._source = patience, watch, source
        self._size, self._validator = file.size, file.validator
        self._done = 0
        self._starts = 0
        self._ended = False
        self._hash = hashlib.sha256()
        self.fetched = 0

    def run(self) -> str:
        """The SHA-256 of the finished file, in hex. `fetched` counts the bytes that came over the network.

        Raises TargetUnreachable, TargetTimeout, RateLimited or TargetError (codes `server_failed`, `wrong_length`,
        `wrong_digest`, `file_changed`) when patience is at its end, and NotAllowed, NotAuthorised or ModelNotFound at
        once. What came stays for the next time, unless it is known to be wrong.
        """
        with self._partial.open() as out:
            self._begin(out)
            self._go_on(out)
            os.fsync(out.fileno())
        digest = self._hash.hexdigest()
        self._verify(digest)
        self._describe(digest)
        return digest

    def _begin(self, out: BinaryIO) -> None:
        """Keeps the bytes of this version that an earlier process left, and hashes them."""
        have, known = self._partial.size, self._partial.version()
        same = self._file.by_content or (
            known is not None and known.validator is not None and known.validator == self._validator
        )
        if have and (not same or (self._size is not None and have > self._size)):
            self._start_over(out, f"{self._file.name} changed at the server: it is fetched from the start")
            return
        out.seek(0)
        while chunk := out.read(_CHUNK):
            self._hash.update(chunk)
            self._done += len(chunk)
            self._tell("checking")
        self._describe()

    def _go_on(self, out: BinaryIO) -> None:
        failures = 0
        while not self._complete():
            before = self.fetched
            try:
                self._attempt(out)
            except Changed:
                self._start_over(out, f"{self._file.name} changed at the server: it is fetched from the start")
            except Broken as trouble:
                failures = 1 if self.fetched > before else failures + 1
                if failures > self._patience.retries:
                    raise trouble.error from trouble
                self._pause(failures, trouble)

    def _complete(self) -> bool:
        return self._ended if self._size is None else self._done == self._size

    def _attempt(self, out: BinaryIO) -> None:
        headers: dict[str, str] = {}
        if self._done:
            headers["range"] = f"bytes={self._done}-"
            if self._validator is not None:
                headers["if-range"] = self._validator
        with self._web.ask(self._file.way, headers=headers) as answer:
            self._place(answer, out)
            self._measure(answer)
            self._copy(answer, out)
        if not self._complete():
            host = host_of(answer.url)
            raise Broken(TargetUnreachable(f"{host} ended {self._file.name} early", address=host, hint=AGAIN))

    def _place(self, answer: Answer, out: BinaryIO) -> None:
        """Makes sure that the answer's bytes belong where the file ends."""
        coding = answer.header("content-encoding")
        if coding not in (None, "identity"):
            raise self._wrong("server_failed", f"is sent as {coding}, which nobody asked for")
        match answer.status:
            case 200 if self._done:
                same = self._file.by_content or validator_of(answer) == self._validator
                note = "cannot be gone on with at this server" if same else "changed at the server"
                self._start_over(out, f"{self._file.name} {note}: it is fetched from the start")
            case 200:
                pass
            case 206:
                found = _RANGE.fullmatch(answer.header("content-range") or "")
                if found is None or int(found[1]) != self._done:
                    raise self._wrong("wrong_length", "comes with a range that was not asked for")
                if self._size is not None and found[3] not in ("*", str(self._size)):
                    raise self._other_length(int(found[3]))
            case 416:
                raise Changed
            case _:
                raise refusal(answer, self._file.way, self._file.name)

    def _measure(self, answer: Answer) -> None:
        """Checks version and length against what is known; takes what is not."""
        stated = _DIGEST.fullmatch(answer.linked.get("x-linked-etag", ""))
        if self._file.digest is not None and stated is not None and stated[1] != self._file.digest:
            raise self._wrong("file_changed", "is another file at the server than the one that it listed")
        if not self._file.by_content:
            found = validator_of(answer)
            if answer.status == 206 and found != self._validator:  # noqa: PLR2004 - a status code
                raise Changed
            if found != self._validator or self._size is None:
                self._validator, self._size = found, None
        length = answer.number("content-length")
        if length is not None:
            total = self._done + length
            if self._size is not None and total != self._size:
                raise self._other_length(total)
            self._size = total
        elif self._size is None and self._file.digest is None and answer.header("transfer-encoding") != "chunked":
            raise self._wrong("wrong_length", "comes without its length, so nobody can tell whether it is whole")
        if not self._done:
            self._describe()

    def _copy(self, answer: Answer, out: BinaryIO) -> None:
        # As it comes from the socket: what iter_raw would gather into larger pieces is lost with the connection.
        for chunk in answer.response.iter_raw():
            if self._size is not None and self._done + len(chunk) > self._size:
                raise self._other_length(None)
            _write(out, chunk)
            self._hash.update(chunk)
            self._done += len(chunk)
            self.fetched += len(chunk)
            self._tell("fetching")
        self._ended = True

    def _verify(self, digest: str) -> None:
        wanted, found = self._file.digest, digest
        if wanted is None and self._file.git_digest is not None:
            wanted, found = self._file.git_digest, _git_digest(self._partial)
        if wanted is not None and wanted != found:
            self._partial.drop()
            raise TargetError(
                f"the bytes of {self._file.name} are not what they must be: the digest is {found}, not {wanted}; "
                "nothing of it was kept",
                code="wrong_digest",
                hint="run it again; if it stays so, a mirror, a proxy or --sha256 is wrong",
            )

    def _start_over(self, out: BinaryIO, why: str) -> None:
        self._starts += 1
        if self._starts > _MOST_STARTS:
            raise self._wrong("file_changed", f"had to be begun anew {_MOST_STARTS} times; the last time: {why}")
        out.truncate(0)
        out.seek(0)
        self._done, self._ended, self._hash = 0, False, hashlib.sha256()
        self._tell("trouble", why)
        self._describe()

    def _pause(self, failures: int, trouble: Broken) -> None:
        wait = self._patience.before(failures, trouble.after)
        words = f"{trouble.error.message}; once more in {wait:.0f} s ({failures} of {self._patience.retries})"
        self._tell("trouble", words)
        time.sleep(wait)

    def _describe(self, digest: str | None = None) -> None:
        self._partial.describe(Version(self._file.name, self._source, self._size, self._validator, digest))

    def _tell(self, kind: Kind, message: str | None = None) -> None:
        self._watch(Step(kind, self._file.name, self._done, self._size, message))

    def _other_length(self, found: int | None) -> TargetError:
        told = f"{found} bytes" if found is not None else "more"
        return self._wrong("wrong_length", f"has {told} at the server, where {self._size} bytes belong")

    def _wrong(self, code: str, words: str) -> TargetError:
        hint = "run it again; if it stays so, tell whoever runs that server"
        return TargetError(f"{self._file.name} {words}", code=code, hint=hint)


def validator_of(answer: Answer) -> str | None:
    """What tells this version of a file from others: a strong ETag, else its date (RFC 9110, 13.1.5)."""
    tag = answer.header("etag")
    return tag if tag is not None and not tag.startswith("W/") else answer.header("last-modified")


def _write(out: BinaryIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[out.write(rest) :]


def _git_digest(partial: Partial) -> str:
    """Git's name of a blob: SHA-1 over a header with its size, then the bytes (git-scm.com, Git Objects)."""
    digest = hashlib.sha1(b"blob %d\0" % partial.size)  # noqa: S324 - it is git's
    with partial.open() as file:
        file.seek(0)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()

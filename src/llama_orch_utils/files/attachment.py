# SPDX-License-Identifier: Apache-2.0
"""One file that goes with a question."""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from llama_orch_utils.errors import BadRequest
from llama_orch_utils.files.kind import IMAGES, TEXT, kind_of
from llama_orch_utils.messages import ImagePart

# What is larger is no question but a mistake; targets refuse bodies long before.
MOST_TEXT_BYTES = 8 * 1024 * 1024
MOST_IMAGE_BYTES = 20 * 1024 * 1024
FETCH_SECONDS = 30.0
OK = 200


@dataclass(frozen=True, slots=True)
class Attachment:
    """A text or an image. `kind` is its media type, told by its content.

    Raises BadRequest for anything else, by its kind, and for what is too large: 8 MiB of text, 20 MiB of image.
    """

    name: str
    content: bytes = field(repr=False)
    kind: str = ""

    def __post_init__(self) -> None:
        """Tell what it is, and refuse what no model takes."""
        object.__setattr__(self, "kind", kind_of(self.content))
        if not self.content:
            raise BadRequest(f"{self.name} is empty", param="/messages", hint="leave it out")
        if self.kind != TEXT and self.kind not in IMAGES:
            raise BadRequest(
                f"{self.name} is {self.kind}, neither text nor an image that models take",
                param="/messages",
                hint="turn it into text (UTF-8), or into PNG or JPEG",
            )
        most = MOST_IMAGE_BYTES if self.is_image else MOST_TEXT_BYTES
        if len(self.content) > most:
            raise _too_large(self.name, most)

    @property
    def is_image(self) -> bool:
        """Whether it is for models that see."""
        return self.kind in IMAGES

    @property
    def text(self) -> str:
        """The text with its name, as it goes into a question. Only for texts."""
        inside = self.content.decode("utf-8-sig").strip("\n")
        return f'<file name="{_plain(self.name)}">\n{inside}\n</file>'

    def part(self) -> ImagePart:
        """The image as a part of a message, whole (RFC 2397). Only for images."""
        url = f"data:{self.kind};base64,{base64.b64encode(self.content).decode('ascii')}"
        return {"type": "image_url", "image_url": {"url": url}}

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Attachment:
        """The file at `path`. Raises BadRequest where it cannot be read, or is no file."""
        place = Path(path).expanduser()
        try:
            with place.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                    raise BadRequest(f"{path} is a device, not a file", param="/messages", hint="name a file")
                content = file.read(MOST_IMAGE_BYTES + 1)
        except OSError as error:
            raise BadRequest(
                f"cannot read {path}: {error.strerror}", param="/messages", hint=f"ls -ld {path}"
            ) from error
        return cls(place.name, content)

    @classmethod
    def fetch(cls, url: str) -> Attachment:
        """What is at the http(s) address `url`, fetched from here: a target need not reach it.

        Through the proxy that the environment names; 30 s at most. Raises BadRequest.
        """
        return cls(PurePosixPath(_path_of(url)).name or url, _fetched(url))


def _fetched(url: str) -> bytes:
    import time

    import httpx

    from llama_orch_utils.transport.route import tls_context

    until = time.monotonic() + FETCH_SECONDS
    verify = tls_context() if url.lower().startswith("https") else False
    parts: list[bytes] = []
    size = 0
    try:
        with (
            httpx.Client(verify=verify, follow_redirects=True, max_redirects=5, timeout=10.0) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as reply,
        ):
            if reply.status_code != OK:
                raise BadRequest(f"{url} answered with status {reply.status_code}", hint=f"curl -I '{url}'")
            for chunk in reply.iter_raw():
                parts.append(chunk)
                size += len(chunk)
                if size > MOST_IMAGE_BYTES:
                    raise _too_large(url, MOST_IMAGE_BYTES)
                if time.monotonic() > until:
                    raise BadRequest(f"{url} did not come within {FETCH_SECONDS:g} s", hint=_by_hand(url))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise BadRequest(f"cannot fetch {url}: {str(error) or type(error).__name__}", hint=_by_hand(url)) from error
    return b"".join(parts)


def _by_hand(url: str) -> str:
    import shlex

    return f"fetch it yourself, then attach the file: curl -LO {shlex.quote(url)}"


def _path_of(url: str) -> str:
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadRequest(f"{url} is no address: {error}", hint="https://…") from error
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise BadRequest(f"{url} is no http(s) address", hint="https://…")
    return unquote(parts.path)


def _plain(name: str) -> str:
    """The name, unable to end the tag that it stands in."""
    return "".join("_" if each in '"<>' or not each.isprintable() else each for each in name)


def _too_large(name: str, most: int) -> BadRequest:
    return BadRequest(
        f"{name} is larger than {most // 1024**2} MiB", param="/messages", hint="cut it, or make it smaller"
    )

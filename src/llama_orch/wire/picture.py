# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in a conversation: what every dialect makes of its own image parts.

A turn with images has a list as its content: texts as they are, and `{"type": "image", "data": BASE64, "where":
POINTER}`. Only images that lie in the body are taken: fetching an address for a client would let it reach what only
this machine reaches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from llama_orch.wire.fields import Fields, unsupported
from llama_orch.wire.json_body import Json
from llama_orch_utils.errors import BadRequest

Part = dict[str, Json]
Content = list[Json]
"""Texts and `Part`s, as they stand."""

URL = r"^data:(image/[A-Za-z0-9.+-]+|application/octet-stream)?(;[A-Za-z0-9.+-]+=[A-Za-z0-9.+-]*)*;base64,."
"""What `from_url` takes, as a pattern of JSON Schema."""
MAX_IMAGES = 64
_DATA = re.compile(URL, re.DOTALL)
_INSIDE = "send the image itself: data:image/png;base64,…"


def from_url(url: str, where: str) -> Part:
    """An image by its `data:` URL (RFC 2397). Raises UnsupportedByTarget for an address, BadRequest for nonsense."""
    found = _DATA.match(url)
    if found is None:
        scheme = url.split(":", 1)[0].lower() if ":" in url[:32] else ""
        if scheme in ("http", "https", "file", "ftp", "gs", "s3"):
            raise unsupported(f"an image at a {scheme} address", where, _INSIDE)
        raise BadRequest("this is no data: URL of an image in base64", param=where, hint=_INSIDE)
    return from_base64(url[found.end() - 1 :], where)


def from_base64(data: str, where: str) -> Part:
    """An image in base64. Raises BadRequest for none."""
    if not data:
        raise BadRequest("the image is empty", param=where)
    return {"type": "image", "data": data, "where": where}


def image_url(fields: Fields) -> Part:
    """OpenAI's `image_url`: an object with `url`, or the URL itself; `detail` is left to the projector."""
    at = fields.at("image_url")
    value = fields.take("image_url")
    if isinstance(value, str):
        return from_url(value, at)
    if not isinstance(value, dict):
        raise BadRequest("image_url must be an object with a url", param=at, hint=_INSIDE)
    inner = Fields(value, at)
    url = inner.text("url")
    if url is None:
        raise BadRequest("image_url must have a url", param=inner.at("url"), hint=_INSIDE)
    inner.ignore(("detail",))
    inner.refuse_rest()
    return from_url(url, inner.at("url"))


def joined(parts: Sequence[str | Part], between: str = "") -> Json:
    """The content of a turn: one text where there is no image, with `between` between two texts."""
    found: Content = []
    for part in parts:
        if isinstance(part, dict):
            found.append(part)
        elif found and isinstance(before := found[-1], str):
            found[-1] = before + between + part
        elif part:
            found.append(part)
    if any(isinstance(part, dict) for part in found):
        return found
    return "".join(part for part in found if isinstance(part, str))


def has_images(content: Json) -> bool:
    """Whether a turn's content holds images."""
    return isinstance(content, list)


def only_text(content: Json, where: str, who: str = "the assistant") -> str:
    """The content of a turn that can hold no images. Raises UnsupportedByTarget."""
    if isinstance(content, list):
        raise unsupported(f"an image of {who}'s", _first(content, where), "send it in a user's message")
    return str(content)


def _first(content: Content, where: str) -> str:
    return next((str(part["where"]) for part in content if isinstance(part, dict)), where)

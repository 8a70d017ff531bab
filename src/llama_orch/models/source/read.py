# SPDX-License-Identifier: GPL-3.0-or-later
"""From what a user typed to a place, with nothing guessed: an address, or None for a name of the catalogue."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from llama_orch.models.source.records import FileSource, HubSource, Source, UrlSource
from llama_orch_utils.errors import BadRequest

# hf://owner/name[@revision][:quantisation | /path/of/file.gguf]. The hub's own rules for the two names:
# https://huggingface.co/docs/huggingface_hub/package_reference/hf_uris
_HUB = re.compile(
    r"(?P<owner>[A-Za-z0-9][\w.-]{0,95})/(?P<name>[A-Za-z0-9_][\w.-]{0,95})"
    r"(?:@(?P<revision>refs/pr/\d+|[\w.-]{1,128}))?"
    r"(?::(?P<quant>[\w.-]{1,32})|/(?P<file>.{1,512}))?",
    re.ASCII,
)
_HUB_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_PAGE = re.compile(
    r"/(?P<repository>[^/]+/[^/]+)(?:/(?:blob|resolve|raw|tree)/(?P<revision>[^/]+)(?:/(?P<file>.+))?)?/?"
)
_DIGEST = re.compile(r"(?:sha256[:=-])?([0-9a-f]{64})", re.IGNORECASE)
_LONGEST = 4096


def read_source(text: str, *, digest: str | None = None) -> Source | None:
    """The place that `text` names, None where it is no address (then it may be a name of the catalogue).

    `digest` is the SHA-256 that the user states. Raises BadRequest for an address that cannot be meant.
    """
    if len(text) > _LONGEST or not text.isprintable():
        raise BadRequest("this is no address of a model", param="/model", hint="orch pull --help shows examples")
    scheme, colon, rest = text.partition("://")
    if not colon:
        head, _, tail = text.partition("/")
        return _hub(tail, text) if head.lower() in _HUB_HOSTS and tail else _not_a_path(text)
    match scheme.lower():
        case "hf":
            return _hub(rest, text)
        case "https" | "http":
            return _url(text, _digest(digest))
        case "file":
            return _file(text, _digest(digest))
        case _:
            raise BadRequest(
                f"a model cannot be fetched by {scheme}://",
                param="/model",
                hint="use hf://owner/repository[:quantisation], https:// or file://",
            )


def _hub(rest: str, text: str) -> HubSource:
    found = _HUB.fullmatch(rest.rstrip("/"))
    if found is None or not all(_plain(found[part] or "") for part in ("owner", "name", "revision")):
        raise BadRequest(
            f"{text} names no repository",
            param="/model",
            hint="use hf://owner/repository[:quantisation], as in hf://Qwen/Qwen3-0.6B-GGUF:Q8_0",
        )
    if found["file"] is not None:
        check_file_name(found["file"])
    return HubSource(f"{found['owner']}/{found['name']}", found["revision"], found["quant"], found["file"])


def _plain(name: str) -> bool:
    return ".." not in name and "--" not in name and not name.endswith((".git", ".", "-")) and name != "."


def check_file_name(name: str) -> str:
    """`name` itself if it can be a file of a repository: relative, no `..`, no backslash. Raises BadRequest."""
    parts = name.split("/")
    if not name.isprintable() or "\\" in name or any(part in {"", ".", ".."} for part in parts):
        raise BadRequest(f"{name!r} cannot be a file of a repository", param="/file", hint="give its path as listed")
    return name


def _url(text: str, digest: str | None) -> Source:
    parts = _split(text)
    host = parts.hostname
    if not host:
        raise BadRequest(f"{text} names no host", param="/model", hint="use https://host/file.gguf")
    if parts.username is not None or parts.password is not None:
        raise BadRequest(
            "an address with a name or a password in it would end in logs and histories",
            param="/model",
            hint="use an address without them, or HF_TOKEN with hf://owner/repository",
        )
    if host in _HUB_HOSTS:
        return _page(parts.path, text)
    stated = _DIGEST.fullmatch(parts.fragment)
    digest = digest or (stated[1].lower() if stated else None)
    if parts.scheme.lower() == "http" and digest is None and not _is_loopback(host):
        raise BadRequest(
            "what comes by http:// can be changed on the way",
            param="/model",
            hint="use https://, or state what it must be: --sha256 DIGEST",
        )
    return UrlSource(urlunsplit(parts._replace(fragment="")), digest)


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.hostname, parts.port  # they are read when they are asked for
    except ValueError as error:
        raise BadRequest(f"this is no address: {error}", param="/model", hint="use https://host/file.gguf") from error
    return parts


def _page(path: str, text: str) -> HubSource:
    """An address of the hub's own pages, as people copy it from a browser."""
    found = _PAGE.fullmatch(unquote(path))
    if found is None:
        raise BadRequest(f"{text} is no repository's page", param="/model", hint="use hf://owner/repository")
    revision = f"@{found['revision']}" if found["revision"] not in (None, "main") else ""
    return _hub(f"{found['repository']}{revision}{'/' + found['file'] if found['file'] else ''}", text)


def _file(text: str, digest: str | None) -> FileSource:
    parts = _split(text)
    if parts.netloc not in {"", "localhost"}:
        raise BadRequest(f"{text} names another machine", param="/model", hint="use file:///path/of/model.gguf")
    path = Path(unquote(parts.path))
    if not path.is_absolute() or "\0" in str(path):
        raise BadRequest(f"{text} is no whole path", param="/model", hint="use file:///path/of/model.gguf")
    return FileSource(path, digest)


def _not_a_path(text: str) -> None:
    """None; a path is refused with the command that is meant for it."""
    if text.lower().endswith(".gguf") or text.startswith(("/", "~", "./", "../")):
        raise BadRequest(
            f"{text} is a file of this machine: there is nothing to fetch",
            param="/model",
            hint=f"use it where it lies: orch models link {text}",
        )


def _digest(text: str | None) -> str | None:
    if text is None:
        return None
    found = _DIGEST.fullmatch(text.strip())
    if found is None:
        raise BadRequest("a SHA-256 has 64 hexadecimal digits", param="/sha256", hint="sha256sum FILE prints it")
    return found[1].lower()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

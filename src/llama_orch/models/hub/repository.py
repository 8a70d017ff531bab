# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository of the hub: its commit, its licence, its files. What the hub says is checked, never believed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, cast

from llama_orch.models.download.patience import Patience
from llama_orch.models.download.refusal import refusal
from llama_orch.models.download.trouble import Broken
from llama_orch.models.download.way import Way
from llama_orch.models.download.web import Answer, Web
from llama_orch.models.hub.refusals import explain
from llama_orch.models.hub.settings import HubSettings
from llama_orch.models.source.read import check_file_name
from llama_orch_utils.errors import BadRequest, TargetError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES = 32 * 2**20
_OK = 200
_LONGEST_WAIT = 10.0
"""Seconds that a listing is waited for unseen; who has to wait longer is told."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file: its path in the repository, size in bytes, SHA-256 in hex (else git's SHA-1 of it as a blob)."""

    path: str
    size: int
    digest: str | None
    git_digest: str | None


@dataclass(frozen=True, slots=True)
class Repository:
    """`commit` is the one that all of `files` are of; `gated`: somebody has to be let in."""

    id: str
    commit: str
    licence: str | None
    gated: bool
    files: tuple[HubFile, ...]


def read_repository(
    web: Web, settings: HubSettings, repository: str, revision: str | None, *, patience: Patience
) -> Repository:
    """Asks the hub. Raises ModelNotFound, NotAuthorised, NotAllowed, TargetUnreachable, TargetError as it answers."""
    import time

    way = Way(settings.listing(repository, revision), headers=settings.headers, explain=explain(settings, repository))
    attempt = 0
    while True:
        try:
            with web.ask(way, headers={"accept": "application/json"}) as answer:
                if answer.status != _OK:
                    raise refusal(answer, way, repository)
                return _parsed(repository, _body(answer, repository))
        except Broken as trouble:
            attempt += 1
            if attempt > min(patience.retries, 2) or (trouble.after or 0) > _LONGEST_WAIT:
                raise trouble.error from trouble
            time.sleep(patience.before(attempt, trouble.after))


def _body(answer: Answer, repository: str) -> Any:
    body = bytearray()
    for chunk in answer.response.iter_bytes():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise _nonsense(repository, "it is longer than any")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _nonsense(repository, "it is no JSON") from error


def _parsed(repository: str, document: Any) -> Repository:
    if not isinstance(document, dict):
        raise _nonsense(repository, "it is no object")
    said = cast("dict[str, Any]", document)
    commit = said.get("sha")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise _nonsense(repository, "it names no commit")
    siblings = said.get("siblings")
    if not isinstance(siblings, list):
        raise _nonsense(repository, "it lists no files")
    files = [_file(entry) for entry in cast("list[Any]", siblings)]
    kept = tuple(file for file in files if file is not None)
    if not kept and any(".gguf" in str(entry).lower() for entry in cast("list[Any]", siblings)):
        raise _nonsense(repository, "of its GGUF files it tells no usable name, or neither size nor digest")
    return Repository(repository, commit, _licence(said), said.get("gated") not in (None, False), kept)


def _file(entry: Any) -> HubFile | None:
    """None for what cannot be a model's file: no safe name, no size, nothing to check it by."""
    if not isinstance(entry, dict):
        return None
    said = cast("dict[str, Any]", entry)
    name, size, lfs = said.get("rfilename"), said.get("size"), said.get("lfs")
    digest = cast("dict[str, Any]", lfs).get("sha256") if isinstance(lfs, dict) else None
    git = said.get("blobId") if digest is None else None
    try:
        if not isinstance(name, str) or check_file_name(name) != name:
            return None
    except BadRequest:
        return None
    if not isinstance(size, int) or isinstance(size, bool) or size <= 0:
        return None
    checked = digest if isinstance(digest, str) and _SHA256.fullmatch(digest) else None
    git_checked = git if isinstance(git, str) and _COMMIT.fullmatch(git) else None
    return HubFile(name, size, checked, git_checked) if checked or git_checked else None


def _licence(said: dict[str, Any]) -> str | None:
    """The licence's name as the card has it: `license`, or `license_name` where that is `other`."""
    card = said.get("cardData")
    if not isinstance(card, dict):
        return None
    told = cast("dict[str, Any]", card)
    licence, name = told.get("license"), told.get("license_name")
    if isinstance(licence, list):
        licence = ", ".join(str(each) for each in cast("list[Any]", licence))
    if licence == "other" and isinstance(name, str):
        licence = name
    return licence[:200] if isinstance(licence, str) and licence.isprintable() else None


def _nonsense(repository: str, why: str) -> TargetError:
    return TargetError(
        f"the hub's description of {repository} cannot be used: {why}",
        code="server_failed",
        hint="check HF_ENDPOINT: is it a hub?",
    )

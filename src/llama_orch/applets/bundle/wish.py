# SPDX-License-Identifier: GPL-3.0-or-later
"""`brand.toml`: what a bundle is called, what is in it, and where it asks. Whatever is not known is refused."""

from __future__ import annotations

import base64
import re
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from llama_orch_utils.errors import AppletError

FILE = "brand.toml"
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_VERSION = re.compile(r"\d+(?:\.\d+){0,3}")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_SHAPE: dict[str, dict[str, type]] = {
    "": {"name": str, "title": str, "version": str, "support": str, "legal": list, "logo": str, "welcome": str,
         "applets": list, "target": dict, "colours": dict, "texts": dict},
    "target": {"url": str, "model": str},
    "colours": {"accent": str},
}  # fmt: skip
_TAKEN = ("python", "python3", "pip", "pip3", "activate", "deactivate", "orch", "httpx")
LOGOS = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
         ".webp": "image/webp"}  # fmt: skip
_MOST_LOGO = 128 * 1024
"""Bytes: it travels in what agents are told."""
_REQUIRED = ("name", "title", "version", "applets", "target")


@dataclass(frozen=True, slots=True)
class Wish:
    """A checked `brand.toml` in `folder`; `applets` are sources as `orch applet install` takes them."""

    folder: Path
    name: str
    title: str
    version: str
    applets: tuple[str, ...]
    url: str
    model: str | None
    support: str
    legal: tuple[str, ...]
    logo: Path | None
    accent: str
    welcome: str
    texts: Mapping[str, str]

    def icon(self) -> str:
        """The logo as a data: URI; nothing: there is none."""
        if self.logo is None:
            return ""
        body = base64.b64encode(self.logo.read_bytes()).decode()
        return f"data:{LOGOS[self.logo.suffix.lower()]};base64,{body}"

    @property
    def module(self) -> str:
        """The package of its command."""
        return self.name.replace("-", "_")


def read(folder: Path) -> Wish:
    """The wish in `folder`. Raises AppletError with the line of what will not do."""
    path = folder / FILE
    try:
        text = path.read_text("utf-8")
        raw = tomllib.loads(text)
    except FileNotFoundError as error:
        raise AppletError(f"there is no {path}", hint="orch applet pack --help tells what it holds") from error
    except (OSError, ValueError) as error:
        raise AppletError(f"{path} cannot be read: {error}", hint="mend that line") from error
    _check(raw, "", text)
    for name in _REQUIRED:
        if name not in raw:
            raise AppletError(f"{FILE} lacks {name}", hint=f"add it: {name} = …")
    return _wish(folder, raw, text)


def _wish(folder: Path, raw: dict[str, Any], text: str) -> Wish:
    target, colours = raw["target"], raw.get("colours", {})
    found = Wish(
        folder=folder,
        name=_form(raw["name"], _NAME, "name", text),
        title=raw["title"],
        version=_form(raw["version"], _VERSION, "version", text),
        applets=_words(raw["applets"], "applets", text),
        url=_address(target.get("url", ""), text),
        model=target.get("model"),
        support=raw.get("support", ""),
        legal=_words(raw.get("legal", []), "legal", text),
        logo=folder / raw["logo"] if "logo" in raw else None,
        accent=_form(colours["accent"], _COLOUR, "accent", text) if "accent" in colours else "",
        welcome=raw.get("welcome", ""),
        texts=raw.get("texts", {}),
    )
    if found.name in _TAKEN or found.module in sys.stdlib_module_names:
        raise _wrong("name", f"cannot be {found.name!r}: that is something else already", text)
    if not found.applets:
        raise _wrong("applets", "names none", text)
    if found.logo is not None and not found.logo.is_file():
        raise _wrong("logo", f"is no file: {found.logo}", text)
    if found.logo is not None and found.logo.suffix.lower() not in LOGOS:
        raise _wrong("logo", f"ends in none of {', '.join(LOGOS)}", text)
    if found.logo is not None and found.logo.stat().st_size > _MOST_LOGO:
        raise _wrong("logo", f"is larger than {_MOST_LOGO // 1024} KiB", text)
    return found


def _address(url: str, text: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise _wrong("url", "must be an address: https://tap.example.com/v1", text)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise _wrong("url", "must hold no key: each user stores his own", text)
    return url


def _check(raw: Mapping[str, Any], table: str, text: str) -> None:
    known = _SHAPE[table]
    for name, value in raw.items():
        if name not in known:
            raise _wrong(name, f"is a field that nobody knows; there are: {', '.join(sorted(known))}", text)
        if not isinstance(value, known[name]):
            raise _wrong(name, "has a value of the wrong kind", text)
        if name in _SHAPE:
            _check(cast("dict[str, Any]", value), name, text)
    for name, value in cast("dict[str, Any]", raw.get("texts", {})).items():
        if not isinstance(value, str):
            raise _wrong(name, "must be a text", text)


def _words(values: list[Any], name: str, text: str) -> tuple[str, ...]:
    if not all(isinstance(each, str) and each for each in values):
        raise _wrong(name, "must be a list of texts", text)
    return tuple(values)


def _form(value: str, form: re.Pattern[str], name: str, text: str) -> str:
    if not form.fullmatch(value):
        raise _wrong(name, f"cannot be {value!r}", text)
    return value


def _wrong(name: str, words: str, text: str) -> AppletError:
    lines = enumerate(text.splitlines(), 1)
    line = next((number for number, each in lines if re.match(rf"""\s*(\[?["']?{re.escape(name)}\b)""", each)), 1)
    return AppletError(f"{FILE}, line {line}: {name} {words}", hint=f"mend it in {FILE}")

# SPDX-License-Identifier: GPL-3.0-or-later
"""The models of `tap.toml`: `[models.NAME]` and `[models.NAME.upstreams.ID]`."""

from __future__ import annotations

import re
from pathlib import Path

from llama_orch.tap.config.record import TapModel, UpstreamSpec
from llama_orch.tap.config.section import Section

CAPABILITIES = ("completion", "chat", "tools", "thinking", "insert", "embedding", "rerank", "vision", "json_schema")
"""The words of `GET /v1/models`, and two more."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+@-]{0,199}")


def model_of(name: str, section: Section, folder: Path) -> TapModel:
    """One model; paths are read from `folder`. Raises ConfigError."""
    if not _MODEL.fullmatch(name):
        raise section.wrong("", "cannot name a model")
    model = TapModel(
        name=name,
        local=_local(section.text("local"), folder),
        upstreams=tuple(_upstream(each, inner, folder) for each, inner in section.sections("upstreams")),
        pinned=section.flag("pinned", default=False),
        context=section.count("context", None, 1),
        slots=section.count("slots", None, 1, 256),
        capabilities=section.texts("capabilities"),
    )
    for word in model.capabilities:
        if word not in CAPABILITIES:
            raise section.wrong("capabilities", f"may hold {', '.join(CAPABILITIES)}", word)
    if model.local is None and not model.upstreams:
        hint = f"orch tap upstream add {name} URL"
        raise section.wrong("local", "or an upstream must say where the model runs", hint=hint)
    section.done()
    return model


def _local(word: str | None, folder: Path) -> str | None:
    """A path is read from the tap's folder, a name of the store stays."""
    if word is None or not (word.endswith(".gguf") or word.startswith(("/", "./", "../", "~"))):
        return word
    return str(folder / Path(word).expanduser())


def _upstream(name: str, section: Section, folder: Path) -> UpstreamSpec:
    url = address(section, "url")
    if url is None:
        raise section.wrong("url", "is missing")
    variable = section.text("key_env")
    if variable is not None and not is_variable(variable):
        # The value is not repeated: whoever misreads the option has just written the key itself.
        raise section.wrong("key_env", "must be the name of an environment variable that holds the key")
    spec = UpstreamSpec(
        id=name,
        url=url,
        key_env=variable,
        weight=section.count("weight", 1, 0, 1000),
        model=section.text("model"),
        ca=section.file("ca", folder),
    )
    section.done()
    return spec


def address(section: Section, key: str) -> str | None:
    """An absolute http or https address without a key in it, None where it is missing. Raises ConfigError."""
    from urllib.parse import urlsplit

    text = section.text(key)
    if text is None:
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise section.wrong(key, "must be an address such as https://tap.example") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or any(letter.isspace() for letter in text):
        raise section.wrong(key, "must be an address such as https://tap.example", text)
    if parts.username is not None or parts.password is not None:
        raise section.wrong(key, "must not hold a key: name the variable that does with key_env")
    return text.rstrip("/")


def is_variable(name: str) -> bool:
    """Whether an environment variable can have that name."""
    return _VARIABLE.fullmatch(name) is not None

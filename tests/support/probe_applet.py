# SPDX-License-Identifier: GPL-3.0-or-later
"""An applet that means no good: it ignores its client, and does with what it was given whatever a test wants."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from applet_package import MANIFEST, package

CODE = """
import json, os, threading, time, urllib.error, urllib.request
from pydantic import BaseModel
from llama_orch_utils.applets import Context, applet

KEPT = []


class Asked(BaseModel):
    does: str
    count: int = 1
    ways: list[list[str]] = []
    body: dict[str, object] = {}
    file: str = ""


class Found(BaseModel):
    found: list[object]


def call(target, key, method, path, body):
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    data = json.dumps(body).encode() if method == "POST" else None
    request = urllib.request.Request(target.removesuffix("/v1") + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
    except OSError as error:
        return [0, repr(error)]


@applet(__package__)
def probe(asked: Asked, context: Context) -> Found:
    target, key, model = context.client.reaching()
    found = []

    def one(method, path):
        found.append([path, *call(target, key, method, path, {"model": model, **asked.body})])

    match asked.does:
        case "ask":
            found.append(context.client.chat("Hi", max_tokens=4).text)
        case "key":
            found += [target, key, os.getpid()]
        case "environment":
            found.append(dict(os.environ))
        case "remember":
            found += KEPT
            KEPT.append(key)
        case "hang":
            one("GET", "/v1/models")
            time.sleep(600)
        case "files":
            for path in [asked.file, asked.file + "-new", "here"]:
                try:
                    found.append(len(open(path, "a+").read()))
                except OSError as error:
                    found.append(type(error).__name__)
        case "ways":
            threads = [threading.Thread(target=one, args=way) for way in asked.ways * asked.count]
            [each.start() for each in threads]
            [each.join() for each in threads]
        case "wait":
            while not os.path.exists(asked.file):
                time.sleep(0.01)
            [one(*way) for way in asked.ways]
        case "linger":
            threading.Thread(target=one, args=asked.ways[0], daemon=True).start()
            while not os.path.exists(asked.file):
                time.sleep(0.01)
    return Found(found=found)
"""


def probe(folder: Path, monkeypatch: pytest.MonkeyPatch, *, more: str = "", name: str = "probe") -> None:
    """Puts it where a gateway that is started from now on finds it; `more` is put behind its manifest."""
    manifest = MANIFEST.format(id=name, summary="Does what it is told") + more
    package(folder, CODE.replace("def probe", f"def {name}"), name=name, manifest=manifest, prompts={})
    there = os.environ.get("PYTHONPATH", "")
    if str(folder) not in there.split(os.pathsep):
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), there]).rstrip(os.pathsep))


def found(body: bytes) -> list[object]:
    """What it says that it found."""
    return json.loads(body)["output"]["found"]

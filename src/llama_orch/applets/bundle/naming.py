# SPDX-License-Identifier: GPL-3.0-or-later
"""The package of a client's own command: a wheel with `brand.json`, the notices, the logo and one line of code."""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

from llama_orch.applets.bundle.wish import Wish
from llama_orch.applets.wheel import Brought

_MAIN = '''# SPDX-License-Identifier: Apache-2.0
"""The command."""

from llama_orch_utils.applets.branded import main as run


def main() -> int:
    """Runs it."""
    return run(__package__)
'''
_OLDEST = (1980, 1, 1, 0, 0, 0)


def write(wish: Wish, applets: Sequence[Brought], folder: Path, notices: str) -> Path:
    """The wheel, the same bytes for the same wish."""
    module, info = wish.module, f"{wish.module}-{wish.version}.dist-info"
    files = {f"{module}/__init__.py": _MAIN.encode(), f"{module}/NOTICES.txt": notices.encode()}
    files[f"{module}/brand.json"] = json.dumps(_brand(wish, applets), ensure_ascii=False, indent=2).encode()
    if wish.logo is not None:
        files[f"{module}/logo{wish.logo.suffix}"] = wish.logo.read_bytes()
    files[f"{info}/METADATA"] = _metadata(wish, applets).encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: applet-pack\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{wish.name} = {module}:main\n".encode()
    rows = [f"{name},sha256={_digest(body)},{len(body)}\n" for name, body in files.items()]
    files[f"{info}/RECORD"] = "".join([*rows, f"{info}/RECORD,,\n"]).encode()
    path = folder / f"{module}-{wish.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(zipfile.ZipInfo(name, _OLDEST), body)
    return path


def texts(wish: Wish) -> dict[str, str]:
    """What prompts may use of the brand."""
    return {"name": wish.title, "support": wish.support, "legal": "\n".join(wish.legal), **wish.texts}


def _brand(wish: Wish, applets: Sequence[Brought]) -> dict[str, object]:
    return {
        "name": wish.name,
        "title": wish.title,
        "version": wish.version,
        "applets": sorted(each.manifest.id for each in applets),
        "url": wish.url,
        "model": wish.model,
        "support": wish.support,
        "legal": wish.legal,
        "accent": wish.accent,
        "welcome": wish.welcome,
        "texts": dict(wish.texts),
        "icon": wish.icon(),
    }


def _metadata(wish: Wish, applets: Sequence[Brought]) -> str:
    needs = "".join(f"Requires-Dist: {each.package}=={each.version}\n" for each in applets)
    head = f"Metadata-Version: 2.1\nName: {wish.name}\nVersion: {wish.version}\nSummary: {wish.title}\n"
    return f"{head}Requires-Python: >=3.11\nRequires-Dist: llama-orch-utils\n{needs}"


def _digest(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()

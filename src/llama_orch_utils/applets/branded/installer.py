# SPDX-License-Identifier: Apache-2.0
"""Installs what lies beside this file.

    python3 install.py [--into FOLDER] [--bin FOLDER] [--signer FINGERPRINT]

Needs Python and nothing else: no network, no package. Every file is checked by its hash, and the list of the hashes by
its Ed25519 signature (RFC 8032), before anything is installed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_I = pow(2, (_P - 1) // 4, _P)
_OLDEST = (3, 11)
_KEY, _SIGNATURE = 32, 64
_Point = tuple[int, int, int, int]


def main() -> int:
    """0: installed, 1: refused."""
    parser = argparse.ArgumentParser(description="Installs what lies beside this file, without a network.")
    parser.add_argument("--into", type=Path, help="where its files go (default: ~/.local/share/NAME)")
    parser.add_argument("--bin", type=Path, default=Path("~/.local/bin"), help="where its command goes")
    parser.add_argument("--signer", help="refuse what another key signed")
    options = parser.parse_args()
    here = Path(__file__).resolve().parent
    try:
        told = checked(here, options.signer)
        command = install(here, told, options.into, options.bin)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.stderr.write(f"error: nothing was installed: {_words(error)}\n")
        return 1
    sys.stdout.write(f"{told['title']} {told['version']} is installed: {command}\nsigned by {told['signer']}\n")
    return 0


def checked(here: Path, signer: str | None) -> dict[str, str]:
    """What the bundle says of itself. Raises ValueError where a byte is not what was signed."""
    if sys.version_info < _OLDEST:
        raise ValueError("it needs Python 3.11 or later")
    body = (here / "bundle.json").read_bytes()
    told = json.loads(body)
    key = base64.b64decode(told["key"])
    if not verify(key, body, base64.b64decode((here / "bundle.sig").read_text("ascii"))):
        raise ValueError("the signature is wrong: somebody changed bundle.json")
    told["signer"] = "ed25519:" + hashlib.sha256(key).hexdigest()[:40]
    if signer and signer != told["signer"]:
        raise ValueError(f"it is signed by {told['signer']}, not by {signer}")
    for name, digest in told["files"].items():
        if hashlib.sha256((here / name).read_bytes()).hexdigest() != digest:
            raise ValueError(f"{name} is not the file that was signed")
    strangers = {each.name for each in (here / "wheels").iterdir()} - {Path(name).name for name in told["files"]}
    if strangers:
        raise ValueError(f"wheels holds what was not signed: {min(strangers)}")
    return told


def install(here: Path, told: dict[str, str], into: Path | None, links: Path) -> Path:
    """An environment, its packages by their hashes, and a link to the command."""
    name = told["name"]
    folder = (into or Path("~/.local/share") / name).expanduser().absolute()
    link = links.expanduser().absolute() / name
    if link.exists() and not link.is_symlink():
        raise ValueError(f"{link} is there already, and is something else: --bin FOLDER")
    environment = folder / "env"
    venv.EnvBuilder(clear=True, with_pip=True, symlinks=os.name != "nt").create(environment)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    words = ["-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet", "--no-index", "--no-deps"]
    words += ["--find-links", str(here / "wheels"), "--require-hashes", "-r", str(here / "requirements.txt")]
    subprocess.run([str(scripts / "python"), *words], check=True, capture_output=True)
    command = scripts / name
    if os.name == "nt":
        return command
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        link.unlink()
    link.symlink_to(command)
    return link


def _words(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return (error.stderr or b"").decode("utf-8", "replace").strip()[-500:]
    return str(error)


def verify(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `message` by `key` (RFC 8032, 5.1.7)."""
    if len(signature) != _SIGNATURE or len(key) != _KEY:
        return False
    point, first = _decoded(key), _decoded(signature[:_KEY])
    scalar = int.from_bytes(signature[_KEY:], "little")
    if point is None or first is None or scalar >= _L:
        return False
    digest = hashlib.sha512(signature[:_KEY] + key + message).digest()
    right = _sum(first, _times(int.from_bytes(digest, "little") % _L, point))
    base = _base()
    return _same(_times(scalar, base), right)


def _base() -> _Point:
    y = 4 * pow(5, _P - 2, _P) % _P
    x = _x_of(y, 0)
    assert x is not None
    return x, y, 1, x * y % _P


def _decoded(raw: bytes) -> _Point | None:
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = _x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % _P)


def _x_of(y: int, sign: int) -> int | None:
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _I % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    return _P - x if x & 1 != sign else x


def _sum(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c, d = 2 * one[3] * other[3] * _D % _P, 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(number: int, point: _Point) -> _Point:
    found: _Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            found = _sum(found, point)
        point = _sum(point, point)
        number >>= 1
    return found


def _same(one: _Point, other: _Point) -> bool:
    return not ((one[0] * other[2] - other[0] * one[2]) % _P or (one[1] * other[2] - other[1] * one[2]) % _P)


if __name__ == "__main__":
    sys.exit(main())

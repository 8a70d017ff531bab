# SPDX-License-Identifier: GPL-3.0-or-later
"""The key that bundles are signed with: Ed25519 (RFC 8032), in the keyring, else in a file of mode 0600."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llama_orch_utils.config import paths
from llama_orch_utils.config.atomic import write_atomically
from llama_orch_utils.errors import AppletError, ConfigError
from llama_orch_utils.secrets import ring

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ACCOUNT = "applet-signing-key"
_LENGTH = 32


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """A private key that does not print, and `where` it is kept; `made` just now or not."""

    _key: Ed25519PrivateKey
    where: str
    made: bool

    @property
    def public(self) -> bytes:
        """Its public half, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, body: bytes) -> bytes:
        """The signature, 64 bytes."""
        return self._key.sign(body)


def key_file() -> Path:
    """Where the key lies where there is no keyring."""
    return paths.config_dir() / "applet-signing.key"


def signer() -> Signer:
    """The key of this user; made where there is none. Raises ConfigError, AppletError."""
    ed25519 = _library()
    found = _find()
    if found is not None:
        value, where = found
        return Signer(ed25519.Ed25519PrivateKey.from_private_bytes(value), where, made=False)
    key = ed25519.Ed25519PrivateKey.generate()
    return Signer(key, _keep(base64.b64encode(key.private_bytes_raw()).decode()), made=True)


def valid(public: bytes, body: bytes, signature: bytes) -> bool:
    """Whether `signature` is that of `body`."""
    from cryptography.exceptions import InvalidSignature

    try:
        _library().Ed25519PublicKey.from_public_bytes(public).verify(signature, body)
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(public: bytes) -> str:
    """What people compare."""
    return f"ed25519:{hashlib.sha256(public).hexdigest()[:40]}"


def _find() -> tuple[bytes, str] | None:
    try:
        kept = ring.ask(ACCOUNT)
    except ring.KeyringSilent:  # then it may be in the file
        kept = None
    if kept is not None:
        return _decoded(kept, "the keyring"), "the keyring"
    path = key_file()
    try:
        if path.stat().st_mode & 0o077:
            raise ConfigError(f"{path} can be read by others", file=str(path), hint=f"chmod 600 {path}")
        return _decoded(path.read_text("ascii"), str(path)), str(path)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read", file=str(path), hint="restore it from your backup") from error


def _decoded(text: str, where: str) -> bytes:
    try:
        value = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != _LENGTH:
        # Its words must not hold the value.
        raise ConfigError(f"the signing key in {where} is damaged", hint="restore it from your backup")
    return value


def _keep(value: str) -> str:
    try:
        ring.put(ACCOUNT, value)
    except ring.KeyringSilent:
        path = key_file()
        write_atomically(path, f"{value}\n".encode(), mode=0o600)
        os.chmod(path, 0o600)  # noqa: PTH101 - as atomic writes it
        return str(path)
    return "the keyring"


def _library():  # noqa: ANN202 - a module
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise AppletError("signatures need the extra 'applets'", hint="pip install 'llama-orch[applets]'") from error
    return ed25519

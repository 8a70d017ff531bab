# SPDX-License-Identifier: Apache-2.0
"""The system's keyring, imported late and given three seconds: some wait for a dialogue that nobody sees."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar, cast

SERVICE = "llama-orch"
SECONDS = 3.0

T = TypeVar("T")


class KeyringSilent(Exception):  # noqa: N818 - it says what happened
    """The keyring did not do what was asked; the words say why, and never hold a key."""


class KeyringAbsent(KeyringSilent):
    """There is no keyring on this machine."""


def ask(host: str) -> str | None:
    """The key kept for `host`, or None. Raises KeyringSilent."""
    return _within(lambda keyring: cast("str | None", keyring.get_password(SERVICE, host)))


def put(host: str, value: str) -> None:
    """Keep a key for `host`, and read it back: some backends accept everything and keep nothing."""

    def write(keyring: Any) -> bool:
        keyring.set_password(SERVICE, host, value)
        return cast("bool", keyring.get_password(SERVICE, host) == value)

    if not _within(write):
        raise KeyringSilent("the keyring keeps nothing")


def drop(host: str) -> bool:
    """Remove the key kept for `host`; False if there was none. Raises KeyringSilent."""

    def remove(keyring: Any) -> bool:
        if keyring.get_password(SERVICE, host) is None:
            return False
        keyring.delete_password(SERVICE, host)
        return True

    return _within(remove)


def _within(work: Callable[[Any], T]) -> T:
    """Do `work` in a daemon thread: one that hangs neither holds the caller nor the interpreter's exit."""
    done: list[T] = []
    failed: list[KeyringSilent] = []

    def run() -> None:
        try:
            import keyring

            done.append(work(keyring))
        except Exception as error:  # noqa: BLE001 - foreign code raises anything; it becomes an error of the tree
            name = type(error).__name__
            absent = name == "NoKeyringError" or isinstance(error, ImportError)
            failed.append((KeyringAbsent if absent else KeyringSilent)(f"no usable keyring ({name})"))

    thread = threading.Thread(target=run, name="orch-keyring", daemon=True)
    thread.start()
    thread.join(SECONDS)
    if done:
        return done[0]
    if failed:
        raise failed[0]
    raise KeyringSilent(f"the keyring did not answer within {SECONDS:g} s")

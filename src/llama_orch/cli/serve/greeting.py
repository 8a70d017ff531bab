# SPDX-License-Identifier: GPL-3.0-or-later
"""What `orch serve` says when it serves: one line, and the lines to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_orch.cli.ending import drop_unwritten

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.cli.serve.progress import Progress
    from llama_orch.tap.settings import Ready
    from llama_orch_utils.secrets import Secret

_NONE_NEEDED = "none"
"""OpenAI's clients refuse to start without a key, whatever it is."""


class Greeting:
    """Called once with what the gateway is ready with. `key` is the key that it was given."""

    def __init__(self, out: Output, progress: Progress, key: Secret | None) -> None:
        self._out, self._progress, self._key = out, progress, key

    def __call__(self, ready: Ready) -> None:
        """Print, and see to it that a script can read it now. A reader that has gone is no reason to stop serving."""
        self._progress.clear()
        try:
            self._print(ready)
            self._out.stdout.flush()
        except BrokenPipeError:
            drop_unwritten()

    def _print(self, ready: Ready) -> None:
        out, base = self._out, f"{ready.url}/v1"
        if out.json:
            out.data(self._record(ready, base), compact=True)
            return
        if out.quiet:
            out.line(ready.url)
            return
        out.line(f"ready: {ready.url} serves {', '.join(ready.models)}")
        out.line(f"export OPENAI_BASE_URL={base}")
        out.line(f"export OPENAI_API_KEY={self._value(ready.key)}")
        if ready.key is not None and ready.key.origin == "file":
            out.note(f"note: the key is kept in {ready.key.where}; orch help serving tells how clients are set up")

    def _value(self, key: Secret | None) -> str:
        """The key as a shell takes it; one that the user gave stays where it is."""
        if key is None:
            return _NONE_NEEDED
        return f'"${key.where}"' if key.origin == "environment" else key.value

    def _record(self, ready: Ready, base: str) -> dict[str, object]:
        key = ready.key
        own = key is not None and key.origin == "environment"
        return {
            "url": ready.url,
            "base_url": base,
            "api_key": None if key is None or own else key.value,
            "key_from": None if key is None else "environment" if own else "generated",
            "key_file": key.where if key is not None and key.origin == "file" else None,
            "models": list(ready.models),
            "pid": ready.pid,
        }

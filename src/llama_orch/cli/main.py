# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch`: from the words of the command line to an exit code.

`--version` and `--help` are answered before anything is imported that they do not need; `orch WORD` imports the module
of WORD only.
"""

from __future__ import annotations

import sys


def main(argv: list[str] | None = None) -> int:
    """Run the command line `argv` (without the program's name; None: of this process); the exit code."""
    words = sys.argv[1:] if argv is None else argv
    try:
        if sys.stdout is None or sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison] - closed by `>&-`
            _open_closed_streams()
        code = _version() if words in (["--version"], ["-V"]) else _dispatch(words)
        sys.stdout.flush()  # pyright: ignore[reportOptionalMemberAccess] - narrowed by the test above
    except BaseException as error:  # noqa: BLE001 - the one place that turns any exception into words and a code
        _let_go(argv)
        from llama_orch.cli.ending import end

        return end(error, words)
    if len(words) != 1:  # --version has no time to lose
        _let_go(argv)
    return code


def _let_go(argv: list[str] | None) -> None:
    """From here on ^C ends the process in silence: the interpreter would answer it with a traceback as it exits."""
    if argv is None:
        # The built-in part of `signal`: to load the rest takes so long that a ^C can fall into it.
        import _signal as signal  # pyright: ignore - typeshed does not know it

        signal.signal(signal.SIGINT, signal.SIG_DFL)  # pyright: ignore - the same


def _open_closed_streams() -> None:
    """Give a stream that the caller closed somewhere to go, before a file of ours takes its descriptor."""
    nowhere = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115, PTH123 - open until the process ends
    sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere


def _version() -> int:
    from llama_orch import __version__

    sys.stdout.write(f"orch {__version__}\n")
    return 0


def _dispatch(words: list[str]) -> int:
    """The root's own options, else the word's command."""
    from llama_orch.cli.encoding import never_fail_to_encode

    never_fail_to_encode()
    if not words or words[0] in {"-h", "--help"}:
        from llama_orch.cli.page import root_page

        sys.stdout.write(root_page())
        return 0
    from llama_orch.cli.registry import COMPLETE_WORD

    if words[0] == COMPLETE_WORD:
        from llama_orch.cli.completion.answer import complete

        return complete(words[1:])
    from llama_orch.cli.dispatch import find, run

    command, rest = find(words)
    return run(command, rest)

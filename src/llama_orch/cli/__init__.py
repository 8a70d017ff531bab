# SPDX-License-Identifier: GPL-3.0-or-later
"""The `orch` command.

A command is an options record and a function that takes it (`command.py`, `options.py`); `registry.py` names the
commands, `parse.py` reads the words into the record, `page.py` prints the help, `output.py` is the one way out,
`failure.py` turns an error into words and an exit code, `main.py` ties them. Each command group is a folder with its
`command.py` and whatever nouns it needs besides.
"""

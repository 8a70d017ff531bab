# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch chat`: a conversation on the terminal.

`keyboard.py` reads what is typed, `session.py` is the conversation, `words.py` the words that begin with a slash,
`transcript.py` what /save writes.
"""

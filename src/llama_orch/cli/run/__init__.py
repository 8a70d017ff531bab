# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch run`: one question, one answer.

`prompt.py` puts the question together, `asking.py` holds the options that `run` and `chat` share, `connection.py`
opens the target that they mean, `loading.py` shows the start of a worker, `sink.py` is where an answer goes,
`exchange.py` asks and shows, `record.py` is what is kept of it.
"""

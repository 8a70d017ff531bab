# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP dialects: bytes in, neutral records out, and back. One folder per dialect, in each the same files.

`request.py` turns a JSON body into a `generation.Generation`, `answer.py` a whole answer into JSON bytes, `stream.py`
the parts of an answer into server-sent events. `routes.py` says which path speaks which dialect.
"""

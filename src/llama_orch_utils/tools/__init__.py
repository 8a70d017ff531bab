# SPDX-License-Identifier: Apache-2.0
"""Tools: Python functions that a model may call, and the loop that runs them.

`definition.py` is what a tool is, `contract.py` its JSON Schema and how arguments are read, `docstring.py` what its
docstring tells, `toolbox.py` the tools of one call and their runs, `dialogue.py` the loop.
"""

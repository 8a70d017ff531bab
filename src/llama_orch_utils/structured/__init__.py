# SPDX-License-Identifier: Apache-2.0
"""Answers of a given shape: a type in, JSON Schema on the wire, an instance out.

`shape.py` is the type's side, `tidy.py` makes its JSON Schema fit for strict targets, `concise.py` reads the short form
of a schema that people type.
"""

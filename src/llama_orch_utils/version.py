# SPDX-License-Identifier: Apache-2.0
"""The version, written here so that no import has to look it up; a test compares it with `pyproject.toml`."""

VERSION = "0.1.0"

# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a model may come from: a repository of a hub, an address, a file."""

from llama_orch.models.source.read import read_source
from llama_orch.models.source.records import FileSource, HubSource, Source, UrlSource

__all__ = ["FileSource", "HubSource", "Source", "UrlSource", "read_source"]

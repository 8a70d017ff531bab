# SPDX-License-Identifier: GPL-3.0-or-later
"""Files over HTTP: one at a time, to be gone on with after anything, and only as told."""

from llama_orch.models.download.fetch import Fetch
from llama_orch.models.download.partial import Partial
from llama_orch.models.download.patience import Patience
from llama_orch.models.download.remote_file import RemoteFile
from llama_orch.models.download.way import Way
from llama_orch.models.download.web import Web

__all__ = ["Fetch", "Partial", "Patience", "RemoteFile", "Way", "Web"]

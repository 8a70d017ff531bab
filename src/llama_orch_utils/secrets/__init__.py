# SPDX-License-Identifier: Apache-2.0
"""Keys: found in the environment, then the keyring, then a file that only this user can read.

Every stored key belongs to one host (scheme, name and port), and is found for that host only.
"""

from __future__ import annotations

from llama_orch_utils.secrets.find import Search, find, search
from llama_orch_utils.secrets.host import host_of
from llama_orch_utils.secrets.keep import Kept, forget, keep, key_file, stored_hosts
from llama_orch_utils.secrets.secret import Secret, masked

__all__ = [
    "Kept",
    "Search",
    "Secret",
    "find",
    "forget",
    "host_of",
    "keep",
    "key_file",
    "masked",
    "search",
    "stored_hosts",
]

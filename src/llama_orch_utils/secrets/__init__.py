# SPDX-License-Identifier: Apache-2.0
"""Keys: found in the environment, then the keyring, then a file that only this user can read.

Every stored key belongs to one host (scheme, name and port), and is found for that host only.
"""

from llama_orch_utils.facade import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from llama_orch_utils.secrets.finding import Search as Search
    from llama_orch_utils.secrets.finding import find as find
    from llama_orch_utils.secrets.finding import search as search
    from llama_orch_utils.secrets.host import host_of as host_of
    from llama_orch_utils.secrets.keeping import Kept as Kept
    from llama_orch_utils.secrets.keeping import forget as forget
    from llama_orch_utils.secrets.keeping import keep as keep
    from llama_orch_utils.secrets.keeping import key_file as key_file
    from llama_orch_utils.secrets.keeping import stored_hosts as stored_hosts
    from llama_orch_utils.secrets.secret import Secret as Secret
    from llama_orch_utils.secrets.secret import masked as masked

_HOME_OF = {
    "Search": "finding",
    "find": "finding",
    "search": "finding",
    "host_of": "host",
    "Kept": "keeping",
    "forget": "keeping",
    "keep": "keeping",
    "key_file": "keeping",
    "stored_hosts": "keeping",
    "Secret": "secret",
    "masked": "secret",
}

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

__getattr__ = lazy(__name__, _HOME_OF)

# SPDX-License-Identifier: Apache-2.0
"""What a target is, which one is meant, and how the local one is started."""

from llama_orch_utils.facade import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from llama_orch_utils.targets.choose import PUBLIC_URL as PUBLIC_URL
    from llama_orch_utils.targets.target import Target as Target
    from llama_orch_utils.targets.target import base_url as base_url

_HOME_OF = {
    "PUBLIC_URL": "choose",
    "Target": "target",
    "base_url": "target",
}

__all__ = [
    "PUBLIC_URL",
    "Target",
    "base_url",
]

__getattr__ = lazy(__name__, _HOME_OF)

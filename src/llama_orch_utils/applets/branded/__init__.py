# SPDX-License-Identifier: Apache-2.0
"""A client's own command: applets under an agency's name. What it shows says nothing of ours but the licence notices.

`orch applet pack` makes a package of `brand.json`, the notices and one line that calls `main`.
"""

from __future__ import annotations

from llama_orch_utils.facade import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from llama_orch_utils.applets.branded.command import main as main

__all__ = ["main"]

__getattr__ = lazy(__name__, {"main": "command"})

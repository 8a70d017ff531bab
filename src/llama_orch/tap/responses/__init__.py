# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Responses API keeps between requests: stored responses, and those that run in the background.

A worker knows one request at a time. Here `previous_response_id` and `item_reference` become the items that they mean,
before a body goes to the worker, and finished responses are picked out of the bytes that pass.
"""

from llama_orch.tap.neighbours import everywhere
from llama_orch.tap.responses import creating, keeping
from llama_orch.tap.responses.responses import Responses

create, input_tokens = everywhere(creating.create), everywhere(creating.input_tokens)
retrieve, delete = everywhere(keeping.retrieve), everywhere(keeping.delete)
cancel, input_items = everywhere(keeping.cancel), everywhere(keeping.input_items)

__all__ = ["Responses", "cancel", "create", "delete", "input_items", "input_tokens", "retrieve"]

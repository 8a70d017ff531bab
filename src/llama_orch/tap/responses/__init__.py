# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Responses API keeps between requests: stored responses, and those that run in the background.

A worker knows one request at a time. Here `previous_response_id` and `item_reference` become the items that they mean,
before a body goes to the worker, and finished responses are picked out of the bytes that pass.
"""

from llama_orch.tap.responses.creating import create, input_tokens
from llama_orch.tap.responses.keeping import cancel, delete, input_items, retrieve
from llama_orch.tap.responses.responses import Responses

__all__ = ["Responses", "cancel", "create", "delete", "input_items", "input_tokens", "retrieve"]

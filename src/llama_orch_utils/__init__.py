# SPDX-License-Identifier: Apache-2.0
"""The llama-orch SDK: one client for a local model, the Public Tap and Private Taps.

    from llama_orch_utils import Client

    with Client() as orch:
        print(orch.chat("Why is the sky blue?").text)

Every name here is loaded when it is first used, so that the import costs nothing.
"""

from llama_orch_utils.facade import lazy
from llama_orch_utils.version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from llama_orch_utils.account import Credits as Credits
    from llama_orch_utils.account import Grant as Grant
    from llama_orch_utils.account import Pricing as Pricing
    from llama_orch_utils.account import UsageReport as UsageReport
    from llama_orch_utils.account import UsageRow as UsageRow
    from llama_orch_utils.client.async_stream import AsyncStream as AsyncStream
    from llama_orch_utils.client.asyncio_ import AsyncClient as AsyncClient
    from llama_orch_utils.client.blocking import Client as Client
    from llama_orch_utils.client.options import ChatOptions as ChatOptions
    from llama_orch_utils.client.stream import Stream as Stream
    from llama_orch_utils.errors import AnswerError as AnswerError
    from llama_orch_utils.errors import AppletError as AppletError
    from llama_orch_utils.errors import BadRequest as BadRequest
    from llama_orch_utils.errors import BudgetExceeded as BudgetExceeded
    from llama_orch_utils.errors import ConfigError as ConfigError
    from llama_orch_utils.errors import ContextTooLong as ContextTooLong
    from llama_orch_utils.errors import EngineFailed as EngineFailed
    from llama_orch_utils.errors import InsufficientCredits as InsufficientCredits
    from llama_orch_utils.errors import InvalidAnswer as InvalidAnswer
    from llama_orch_utils.errors import ModelNotFound as ModelNotFound
    from llama_orch_utils.errors import NotAllowed as NotAllowed
    from llama_orch_utils.errors import NotAuthorised as NotAuthorised
    from llama_orch_utils.errors import OrchError as OrchError
    from llama_orch_utils.errors import RateLimited as RateLimited
    from llama_orch_utils.errors import RequestError as RequestError
    from llama_orch_utils.errors import StepsExhausted as StepsExhausted
    from llama_orch_utils.errors import StreamBroken as StreamBroken
    from llama_orch_utils.errors import TargetError as TargetError
    from llama_orch_utils.errors import TargetTimeout as TargetTimeout
    from llama_orch_utils.errors import TargetUnreachable as TargetUnreachable
    from llama_orch_utils.errors import ToolError as ToolError
    from llama_orch_utils.errors import UnsupportedByTarget as UnsupportedByTarget
    from llama_orch_utils.files.attachment import Attachment as Attachment
    from llama_orch_utils.messages import Message as Message
    from llama_orch_utils.targets.local import LoadEvent as LoadEvent
    from llama_orch_utils.targets.local import WorkerSettings as WorkerSettings
    from llama_orch_utils.tools.definition import Tool as Tool
    from llama_orch_utils.tools.definition import tool as tool
    from llama_orch_utils.transport.clock import Timeouts as Timeouts
    from llama_orch_utils.types import Answer as Answer
    from llama_orch_utils.types import ModelInfo as ModelInfo
    from llama_orch_utils.types import Piece as Piece
    from llama_orch_utils.types import ToolCall as ToolCall
    from llama_orch_utils.types import ToolResult as ToolResult
    from llama_orch_utils.types import Usage as Usage
    from llama_orch_utils.vectors import Embeddings as Embeddings
    from llama_orch_utils.vectors import Ranked as Ranked
    from llama_orch_utils.vectors import Ranking as Ranking

_ERRORS = (
    "AnswerError AppletError BadRequest BudgetExceeded ConfigError ContextTooLong EngineFailed InsufficientCredits "
    "InvalidAnswer ModelNotFound NotAllowed NotAuthorised OrchError RateLimited RequestError StepsExhausted "
    "StreamBroken TargetError TargetTimeout TargetUnreachable ToolError UnsupportedByTarget"
)
_HOMES = {
    "account": "Credits Grant Pricing UsageReport UsageRow",
    "client.async_stream": "AsyncStream",
    "client.asyncio_": "AsyncClient",
    "client.blocking": "Client",
    "client.options": "ChatOptions",
    "client.stream": "Stream",
    "errors": _ERRORS,
    "files.attachment": "Attachment",
    "messages": "Message",
    "targets.local": "LoadEvent WorkerSettings",
    "tools.definition": "Tool tool",
    "transport.clock": "Timeouts",
    "types": "Answer ModelInfo Piece ToolCall ToolResult Usage",
    "vectors": "Embeddings Ranked Ranking",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "Answer",
    "AnswerError",
    "AppletError",
    "AsyncClient",
    "AsyncStream",
    "Attachment",
    "BadRequest",
    "BudgetExceeded",
    "ChatOptions",
    "Client",
    "ConfigError",
    "ContextTooLong",
    "Credits",
    "Embeddings",
    "EngineFailed",
    "Grant",
    "InsufficientCredits",
    "InvalidAnswer",
    "LoadEvent",
    "Message",
    "ModelInfo",
    "ModelNotFound",
    "NotAllowed",
    "NotAuthorised",
    "OrchError",
    "Piece",
    "Pricing",
    "Ranked",
    "Ranking",
    "RateLimited",
    "RequestError",
    "StepsExhausted",
    "Stream",
    "StreamBroken",
    "TargetError",
    "TargetTimeout",
    "TargetUnreachable",
    "Timeouts",
    "Tool",
    "ToolCall",
    "ToolError",
    "ToolResult",
    "UnsupportedByTarget",
    "Usage",
    "UsageReport",
    "UsageRow",
    "WorkerSettings",
    "tool",
]

__version__ = VERSION
__getattr__ = lazy(__name__, _HOME_OF)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

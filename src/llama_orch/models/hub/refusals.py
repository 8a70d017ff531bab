# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hub's refusals mean: `X-Error-Code` and `X-Error-Message`, as huggingface_hub reads them.

401 is also what the hub answers, to somebody unknown, for a repository that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llama_orch.models.hub.settings import HubSettings
from llama_orch_utils.errors import ModelNotFound, NotAllowed, NotAuthorised, OrchError

_WRONG_TOKEN = "Invalid credentials in Authorization header"  # noqa: S105 - the hub's words
_LOGIN = "hf auth login, or set HF_TOKEN"


def explain(settings: HubSettings, repository: str, file: str | None = None) -> Callable[..., OrchError | None]:
    """A function from status and headers to the error; None for what is no refusal of the hub's own."""

    def explained(status: int, headers: Mapping[str, str]) -> OrchError | None:
        code, words = headers.get("x-error-code"), headers.get("x-error-message")
        if code == "GatedRepo":
            return _gated(settings, repository)
        if words == _WRONG_TOKEN:
            return NotAuthorised("the hub does not know the token that is set here", hint=_LOGIN)
        if code == "RevisionNotFound":
            return ModelNotFound(f"{repository} has no such revision", hint=f"look at {settings.page(repository)}")
        if code == "EntryNotFound":
            return ModelNotFound(f"{repository} has no file {file}", hint=f"look at {settings.page(repository)}")
        if code == "RepoNotFound" or status in {401, 404}:
            return _missing(settings, repository)
        if status == 403:  # noqa: PLR2004 - a status code
            return NotAllowed(f"the hub refuses {repository}", hint=f"look at {settings.page(repository)}")
        return None

    return explained


def _gated(settings: HubSettings, repository: str) -> OrchError:
    page = settings.page(repository)
    if settings.token is None:
        return NotAuthorised(
            f"{repository} is gated: its licence has to be accepted first",
            code="gated",
            hint=f"accept it at {page}, then {_LOGIN}, and run this again",
        )
    return NotAllowed(
        f"{repository} is gated, and your account has not been let in",
        code="gated",
        hint=f"accept its licence at {page} with the account of your token, and run this again",
    )


def _missing(settings: HubSettings, repository: str) -> OrchError:
    if settings.token is None:
        hint = f"check the name; if it is private: {_LOGIN}"
    else:
        hint = "check the name; if it is private, check that your token may read it"
    return ModelNotFound(f"the hub has no repository {repository} that you may see", hint=hint)

# SPDX-License-Identifier: GPL-3.0-or-later
"""What huggingface_hub's users have set: endpoint, token, cache, offline mode, time-outs.

Read from huggingface_hub itself (`HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH`, `HF_HOME`, `HF_HUB_CACHE`,
`HF_HUB_OFFLINE`, `HF_HUB_DISABLE_IMPLICIT_TOKEN`, `HF_HUB_DOWNLOAD_TIMEOUT` and what `hf auth login` wrote). Its HTTP
client is not used: it follows redirects to any host, asks the hub which program runs it, and from version 2 on cannot
go on with what a killed process left.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from llama_orch_utils.errors import ConfigError


@dataclass(frozen=True, slots=True)
class HubSettings:
    """`endpoint` without a slash at its end; `token` for it; `cache` the folder of `models--OWNER--NAME`."""

    endpoint: str
    cache: Path
    offline: bool
    timeout: float
    token: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls) -> HubSettings:
        """As huggingface_hub has them in this process. Raises ConfigError where it is missing or cannot say."""
        try:
            from huggingface_hub import constants
        except ImportError as error:
            raise ConfigError(
                "huggingface_hub is not installed: models cannot be fetched from a hub",
                hint="pip install 'llama-orch[local]'",
            ) from error
        except ValueError as error:  # HF_HUB_DOWNLOAD_TIMEOUT=soon
            raise ConfigError(f"a HF_ variable cannot be used: {error}", hint="env | grep ^HF_") from error
        endpoint = str(constants.ENDPOINT)
        if not endpoint.startswith(("https://", "http://")):
            raise ConfigError(f"HF_ENDPOINT is no address: {endpoint!r}", key="HF_ENDPOINT", hint="unset HF_ENDPOINT")
        return cls(
            endpoint=endpoint,
            cache=Path(constants.HF_HUB_CACHE),
            offline=bool(constants.is_offline_mode()),
            timeout=float(constants.HF_HUB_DOWNLOAD_TIMEOUT),
            token=None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN or constants.is_offline_mode() else _token(),
        )

    @property
    def headers(self) -> dict[str, str]:
        """What goes to the endpoint, and to no other host."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    def page(self, repository: str) -> str:
        """Where people look at a repository."""
        return f"{self.endpoint}/{repository}"

    def listing(self, repository: str, revision: str | None) -> str:
        """The address of a repository's description, with the sizes and digests of its files."""
        at = f"/revision/{quote(revision, safe='')}" if revision else ""
        return f"{self.endpoint}/api/models/{quote(repository)}{at}?blobs=true"

    def address(self, repository: str, commit: str, file: str) -> str:
        """The address of one file of a commit."""
        return f"{self.endpoint}/{quote(repository)}/resolve/{commit}/{quote(file)}"


def _token() -> str | None:
    from huggingface_hub import get_token

    try:
        token = get_token()
    except Exception as error:  # an unreadable file, a refused OIDC exchange: several kinds, none of them public
        raise ConfigError(
            f"huggingface_hub cannot give its token: {type(error).__name__}",
            hint="hf auth login, or set HF_TOKEN, or HF_HUB_DISABLE_IMPLICIT_TOKEN=1 to go without",
        ) from error
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError(
            "the hub's token has characters that none has", key="HF_TOKEN", hint="hf auth login, or set HF_TOKEN anew"
        )
    return token

# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS by a certificate and its key."""

from __future__ import annotations

import ssl

from llama_orch.tap.settings import ServeOptions
from llama_orch_utils.errors import ConfigError


def context_of(options: ServeOptions) -> ssl.SSLContext | None:
    """The server's TLS context, None without a certificate. Raises ConfigError in words."""
    if options.cert is None and options.key_file is None:
        return None
    if options.cert is None or options.key_file is None:
        missing = "--cert" if options.cert is None else "--key"
        raise ConfigError(
            f"TLS needs a certificate and its key: {missing} is missing", key="cert", hint="give both --cert and --key"
        )
    for path in (options.cert, options.key_file):
        try:
            path.open("rb").close()
        except OSError as error:
            raise ConfigError(
                f"cannot read {path}: {error.strerror}", file=str(path), key="cert", hint=f"ls -l {path}"
            ) from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(options.cert, options.key_file, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError(
            f"{options.cert} and {options.key_file} are no certificate with its key: {_why(error)}",
            file=str(options.cert),
            key="cert",
            hint="both in PEM form, the key without a password",
        ) from error
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _why(error: Exception) -> str:
    return getattr(error, "reason", None) or str(error)

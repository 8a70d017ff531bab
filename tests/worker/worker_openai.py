# SPDX-License-Identifier: GPL-3.0-or-later
"""The openai package at a worker's Unix socket."""

from __future__ import annotations

import httpx
import openai
from worker_process import Worker


def client_of(worker: Worker) -> openai.OpenAI:
    transport = httpx.HTTPTransport(uds=str(worker.socket))
    http = httpx.Client(transport=transport, timeout=60)
    return openai.OpenAI(base_url="http://localhost/v1", api_key="none", max_retries=0, http_client=http)


def async_client_of(worker: Worker) -> openai.AsyncOpenAI:
    transport = httpx.AsyncHTTPTransport(uds=str(worker.socket))
    http = httpx.AsyncClient(transport=transport, timeout=60)
    return openai.AsyncOpenAI(base_url="http://localhost/v1", api_key="none", max_retries=0, http_client=http)

# SPDX-License-Identifier: Apache-2.0
"""The only place that knows how bytes travel: httpx's engine (httpcore) below, plain records above."""

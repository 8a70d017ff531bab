# SPDX-License-Identifier: Apache-2.0
"""The client: one protocol, written once without I/O, and two thin drivers, `blocking` and `asyncio_`."""

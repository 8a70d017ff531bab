# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap`: all its commands."""

from __future__ import annotations

from llama_orch.cli.command import Group
from llama_orch.cli.tap.account import ACCOUNT
from llama_orch.cli.tap.adjust import ADJUST
from llama_orch.cli.tap.check import CHECK
from llama_orch.cli.tap.grant import GRANT
from llama_orch.cli.tap.init import INIT
from llama_orch.cli.tap.key import KEY
from llama_orch.cli.tap.migrate import MIGRATE
from llama_orch.cli.tap.pack import PACK
from llama_orch.cli.tap.payments import PAYMENTS
from llama_orch.cli.tap.price import PRICE
from llama_orch.cli.tap.serve import SERVE
from llama_orch.cli.tap.upstream import UPSTREAM
from llama_orch.cli.tap.usage import USAGE
from llama_orch.cli.tap.voucher import VOUCHER

TAP = Group(
    "tap",
    "Run a tap with accounts, keys and prepaid credits",
    (INIT, SERVE, UPSTREAM, PRICE, ACCOUNT, KEY, GRANT, ADJUST, VOUCHER, PACK, USAGE, PAYMENTS, CHECK, MIGRATE),
)

# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a new `tap.toml`: every setting with its default, and what it is for."""

from __future__ import annotations

import json

from llama_orch.tap.config.record import Mode

_HEAD = """\
# A tap of llama-orch. `orch tap serve` reads this file; a running tap reads it again on SIGHUP.
# A line that begins with # says what is the default, or shows an example.
#
# Not in here, because they are money: prices, packs, accounts, keys, grants and vouchers. They live in the database,
# and every change of them is kept. See:
#   orch tap price set MODEL --input 1200000 --output 1200000      micro-euros per 1M tokens
#   orch tap account add NAME        orch tap key add ACCOUNT        orch tap grant ACCOUNT --eur 10
#   orch tap pack ls                 orch tap voucher add --eur 10

# public: many accounts with prepaid credits.  private: one tenant, any model, paid by GPU-seconds and a month fee.
mode = {mode}
# What clients are told that this tap is called.
name = {name}
# The address of your terms of use, for those who read /.well-known/llama-orch.
# terms = "https://tap.example/terms"
currency = "EUR"
# false: the routes of OpenAI, Anthropic and Ollama are off; credits, keys, usage and the admin API still serve.
gateway = true

[listen]
host = "127.0.0.1"
port = 8080
# TLS: the certificate and its key (PEM); paths are read from this folder. A proxy in front may do it instead.
# cert = "tap.pem"
# key = "tap.key"
# What clients use, where that is not the address above (a proxy in front, a name).
# url = "https://tap.example"
# hosts = ["tap.example"]                    # further names that a Host header may carry
# origins = ["https://app.example"]          # web pages that may call
# processes = 4                              # gateway processes on the one port; as many as there are cores
# access_log = "access.log"                  # one JSON object per request

[database]
# SQLite in this folder, or PostgreSQL: "postgresql://tap@db.example/tap". ORCH_TAP_DATABASE counts before this line;
# a password stands better there, in PGPASSWORD or in ~/.pgpass.
url = {database}

# The models, and where each runs: a worker here, servers elsewhere, or both (the worker first).
#   orch tap upstream add MODEL URL [--key-env VAR]       orch tap upstream add MODEL local:NAME
#
# [models."qwen3:0.6b"]
# local = "qwen3:0.6b"                       # a name of orch models ls, or the path of a GGUF file
# pinned = true                              # loaded at the start, never swapped out
# context = 8192                             # tokens per answer, prompt and all
# slots = 8                                  # answers at once
# capabilities = ["chat", "tools"]           # what the worker says
#
# [models."qwen3:0.6b".upstreams.second]
# url = "https://gpu2.example/v1"
# key_env = "GPU2_KEY"                       # the variable that holds its key; the key itself stands nowhere
# weight = 1                                 # its share; 0: only when the others fail
# model = "Qwen/Qwen3-0.6B"                  # its name there
# ca = "gpu2-ca.pem"                         # who may have signed its certificate, if not the system's

[limits]
# max_body = "16M"                           # one request
# max_held = "512M"                          # all request bodies together
# buffer = "256K"                            # what a slow reader may leave unread
# max_connections = 4096
# max_concurrent = 1024                      # answers at once, per process
# max_queue = 64                             # requests that wait, per model
# account_concurrent = 64                    # of one account, over all processes
# head_seconds = 10
# body_seconds = 10
# stuck_seconds = 30
# load_wait = 300
# connect_seconds = 5
# first_token_seconds = 120
# idle_seconds = 60
# grace = 10                                 # for running answers, when the tap is told to end
# lease_seconds = 60                         # how long a reservation outlives a gateway that died
# database_seconds = 2                       # then a database that does not answer is a 503

[routing]
# failures = 5                               # in a row, then an upstream is left alone
# open_seconds = 10                          # for so long, then one request tries it
# retry_ratio = 0.2                          # of all requests may be sent again to another upstream; at most 0.2

[warnings]
# balance_eur = [5, 1]                       # x-orch-balance-low, and the webhook, once per threshold
# expiry_days = [30, 7]                      # before a grant expires
# webhook = "https://you.example/tap"        # told by POST, signed with the value of the variable below, retried
# secret_env = "ORCH_TAP_WEBHOOK_SECRET"

[payments]
# Stripe's webhook is POST /v1/webhooks/stripe; the variable holds the signing secret of the endpoint (whsec_...).
# secret_env = "ORCH_TAP_STRIPE_SECRET"
# tolerance = 300                            # seconds that a signature may be old

[workers]
# memory = "12G"                             # for all local models together; what is free
# threads = 8
# gpu_layers = -1
# keep_alive = "never"                       # unload a model that nobody used for so long

[applets]
# What GET /v1/applets lists and POST /v1/applets/NAME runs: the ready-made applets that are installed beside orch,
# unless others are named here (orch applet ls shows what there is); [] offers none.
# offered = ["summarize", "triage"]
# max_cost_eur = 5                           # one run at most; its caller's ?max_cost= and its manifest may say less
# run_seconds = 600                          # one run at most
"""
_PRIVATE = """
[private]
# orch tap price set '*' --gpu-second 1056 is EUR 3.80 per GPU-hour, for every model.
# month_fee_eur = 400                        # charged on the first of each month
# grace_days = 7                             # after a fee was found unpaid, its account pauses until it is paid
# device = "H100 80GB"
# gpus = 1                                   # 1, 2, 4 or 8
# slowest_tokens = 10                        # a second, at least: what a request reserves GPU-seconds by
# request_seconds = 600                      # what it reserves at most, and pays at most, for each GPU
"""


def template(mode: Mode, name: str, database: str) -> str:
    """The file's text; `database` as it shall stand there."""
    head = _HEAD
    for key, value in (("{mode}", mode), ("{name}", name), ("{database}", database)):
        head = head.replace(key, quoted(value))
    return head + _PRIVATE if mode == "private" else head


def quoted(text: str) -> str:
    """A TOML basic string (https://toml.io/en/v1.0.0#string): JSON's escapes are a subset of its own."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")

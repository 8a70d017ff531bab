# SPDX-License-Identifier: GPL-3.0-or-later
"""llama.cpp with continuous batching: tokens in, tokens out. No HTTP, and no file but the model.

`engine.Engine` is the door, `records` what goes through it. The rest, from the outside in:

    engine      the decode thread, its inbox, the public calls
    scheduler   one step after the other; preemption, cancellation, what becomes of a failure
    admission   whether a request gets in, whose prefix it takes, which sequence id it gets
    composer    what goes into one batch
    sequence    one request on its way through, and the text that comes out of it
    residency   what lies in the KV cells (resident, ledger) and who may use it again
    streams     llama.cpp's memory calls, for one shared buffer and for a stream per sequence
    batch       the rows of one llama_decode, in memory owned by numpy
    context     a llama_context, its limits checked against the machine first
    model       a GGUF, loaded; before that gguf_file and trial look whether it can be
    library     the binding, without the weight of its package
    smoke       whether the installed library works on this CPU at all

and beside them what turns logits into text: sampling, grammar, vocabulary, text, template.
"""

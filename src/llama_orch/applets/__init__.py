# SPDX-License-Identifier: GPL-3.0-or-later
"""Applets that are installed: each in an environment and a process of its own, pinned by hashes, and confined.

| module | what |
|---|---|
| place, record, lock | where they lie, what is known of one, and `applets.lock` |
| wheel, source, tools, pins, install, check | from a source to an environment, and whether it is whole |
| confine, grants, relay, passage, confined, beside | the process: what it may touch, and how it reaches the target |
| trial, recording | an applet against recorded answers, and how they are recorded |
| catalogue | every applet that there is, installed here or beside `orch` |
| bundle/ | what an agency hands to a client: packed, signed, with a name of its own |
"""

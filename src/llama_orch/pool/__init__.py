# SPDX-License-Identifier: GPL-3.0-or-later
"""The keeper of the local workers: finds the one that serves a model, starts it, lists them, stops them.

Everything is decided by files in `runtime_dir()/workers` and by the kernel; there is no daemon. `<key>.sock` is where a
worker listens, `<key>.json` its record, `<key>.lock` a lock that a starter takes and hands to the worker it starts: it
is held exactly as long as one of the two lives, so that two starters never start two workers, and what a killed worker
left behind is known to be dead by whoever comes next.
"""

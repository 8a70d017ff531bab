# SPDX-License-Identifier: GPL-3.0-or-later
"""One module per step. A step that has been released is never changed: mend it with the next one."""

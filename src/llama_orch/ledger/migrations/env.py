# SPDX-License-Identifier: GPL-3.0-or-later
"""Alembic's entry: the connection comes from `migrate`, and everything happens in its transaction."""

from __future__ import annotations

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=True)
context.run_migrations()

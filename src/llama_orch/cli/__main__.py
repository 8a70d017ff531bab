# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m llama_orch.cli` is `orch`."""

import sys

from llama_orch.cli.main import main

sys.exit(main())

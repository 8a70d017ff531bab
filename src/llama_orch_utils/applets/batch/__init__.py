# SPDX-License-Identifier: Apache-2.0
"""An applet for every row of a CSV, of JSON Lines, or every document of a folder.

`rows.py` reads them, `journal.py` remembers what is done (so that nothing is paid twice), `running.py` runs them,
`results.py` writes what they made, `estimate.py` says beforehand what it may cost.
"""

from __future__ import annotations

from llama_orch_utils.applets.batch.estimate import Estimate, estimate
from llama_orch_utils.applets.batch.results import output_for
from llama_orch_utils.applets.batch.rows import Row, Rows
from llama_orch_utils.applets.batch.running import Batch, Report, Standing, run_batch

__all__ = ["Batch", "Estimate", "Report", "Row", "Rows", "Standing", "estimate", "output_for", "run_batch"]

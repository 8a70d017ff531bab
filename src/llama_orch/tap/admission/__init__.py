# SPDX-License-Identifier: GPL-3.0-or-later
"""The money path: no request reaches a model before the ledger has reserved what it may cost, durably.

A request is admitted (`Admission.admit`: the key's rights, then one atomic write in the ledger), carried out within its
terms, and settled once by what the worker counted (`Admitted`). See `docs/explanation/billing.md`.
"""

from llama_orch.tap.admission.admission import Admission
from llama_orch.tap.admission.admitted import Admitted

__all__ = ["Admission", "Admitted"]

# SPDX-License-Identifier: GPL-3.0-or-later
"""The curated catalogue: short names for good models, where they are, and what their licences are.

`models.toml` in this package is ours; `catalogue.toml` beside the user's configuration adds to it and goes first.
"""

from llama_orch.models.catalogue.catalogue import Catalogue, pull_hint
from llama_orch.models.catalogue.entry import CatalogueModel

__all__ = ["Catalogue", "CatalogueModel", "pull_hint"]

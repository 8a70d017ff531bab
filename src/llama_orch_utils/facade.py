# SPDX-License-Identifier: Apache-2.0
"""A package whose public names are loaded when they are first used (PEP 562), so that its import costs nothing."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazy(package: str, home_of: "Mapping[str, str]") -> "Callable[[str], object]":
    """The `__getattr__` of `package`: a public name, found in the submodule that `home_of` gives for it, and kept."""

    def load(name: str) -> object:
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        import importlib

        value = getattr(importlib.import_module(f"{package}.{home}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return load

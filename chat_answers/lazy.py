"""Names of a package that are loaded when they are first used (PEP 562).

Most of what it costs to import the adapters is aiohttp, half a second on a small machine, and who decodes a file or asks for ``--help`` needs none of
it. So a package imports what is pure, and gets from here what finds the few names that are not. A type checker is shown plain imports.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

__all__ = ["names"]


def names(package: str, places: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make the ``__getattr__`` and the ``__dir__`` of a package, for names that are in these modules; any other name is an `AttributeError`."""

    def find(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=sys.modules[package])
        found: object = getattr(import_module(places[name]), name)
        # From now on it is an attribute like any other, and nobody asks here again.
        setattr(sys.modules[package], name, found)
        return found

    def known() -> list[str]:
        return sorted(vars(sys.modules[package]).keys() | places.keys())

    return find, known

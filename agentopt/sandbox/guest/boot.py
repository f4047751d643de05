"""The program that a sandbox executes: loads the modules beside this file as a package of their own, and serves.

``python -s -P boot.py CONFIG``, with the configuration as JSON. The package gets a copy of the builtins, so that its
functions go on working when a candidate replaces ``len`` or ``print``.
"""

from __future__ import annotations

import builtins
import importlib.abc
import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import ModuleType

NAME = "_agentopt_guest"


class _Loader(SourceFileLoader):
    """Runs a module with builtins of its own."""

    def exec_module(self, module: ModuleType) -> None:
        """With a copy, which is where its functions will look."""
        module.__dict__["__builtins__"] = dict(builtins.__dict__)
        super().exec_module(module)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of the package in their folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Of a module of the package; none for any other."""
        package, _, name = fullname.partition(".")
        if package != NAME:
            return None
        file = os.path.join(self.folder, f"{name or '__init__'}.py")
        places = None if name else [self.folder]
        loader = _Loader(fullname, file)
        return importlib.util.spec_from_file_location(fullname, file, loader=loader, submodule_search_locations=places)


if __name__ == "__main__":
    sys.meta_path.insert(0, _Finder(os.path.dirname(os.path.abspath(__file__))))
    server = importlib.import_module(f"{NAME}.server")
    sys.meta_path.pop(0)
    server.main(json.loads(sys.argv[1]))

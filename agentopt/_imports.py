"""What a Python file imports, read from its text: nothing is run."""

from __future__ import annotations

import ast
from pathlib import Path

__all__ = ["imports", "modules"]


def imports(path: Path, source: bytes) -> tuple[list[Path], list[str]]:
    """The files that a Python file imports relatively, and the full names of everything else that it imports.

    Args:
        path: where the file is.
        source: its content; of one that cannot be parsed, nothing is found.

    >>> imports(Path("a/b.py"), b"import os.path\\nfrom json import dumps")
    ([], ['json', 'json.dumps', 'os.path'])
    """
    files: list[Path] = []
    names: set[str] = set()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return [], []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.ImportFrom) and node.level <= len(path.parents):
            stem = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            files += modules(stem, *(stem / alias.name for alias in node.names))
    return files, sorted(names)


def modules(*stems: Path) -> list[Path]:
    """The files that exist of modules, which are given as paths without ``.py``."""
    tried = [path for stem in stems for path in (stem.parent / f"{stem.name}.py", stem / "__init__.py")]
    return [path for path in tried if path.is_file()]

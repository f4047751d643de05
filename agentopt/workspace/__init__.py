"""Names to objects: workspaces, their graphs, tasks and prompts.

``load_graph("solve")``, ``load_task("arithmetic", n=50)`` and ``prompt("solver")`` look in the user's workspace, in
installed packages, and in the workspace that agentopt ships; a name of the user's shadows the same name further on.
"""

from __future__ import annotations

from agentopt.workspace.check import Problem, check
from agentopt.workspace.items import Item, items
from agentopt.workspace.prompts import placeholders, prompt, prompt_text, read_prompt, rewrite
from agentopt.workspace.resolve import find, load_graph, load_item, load_optimizer, load_task, names
from agentopt.workspace.roots import Workspace, builtin_root, find_root, require_root, search_path
from agentopt.workspace.scaffold import init
from agentopt.workspace.scripted import scripted
from agentopt.workspace.settings import run_defaults

__all__ = [
    "Item",
    "Problem",
    "Workspace",
    "builtin_root",
    "check",
    "find",
    "find_root",
    "init",
    "items",
    "load_graph",
    "load_item",
    "load_optimizer",
    "load_task",
    "names",
    "placeholders",
    "prompt",
    "prompt_text",
    "read_prompt",
    "require_root",
    "rewrite",
    "run_defaults",
    "scripted",
    "search_path",
]

"""Names to objects: workspaces, their graphs, tasks, evals and prompts.

``load_graph("solve")``, ``load_task("arithmetic", n=50)`` and ``prompt("solver")`` look in the user's workspace, in
installed packages, and in the workspace that agentopt ships; a name of the user's shadows the same name further on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentopt._lazy import lazy

if TYPE_CHECKING:
    from agentopt.workspace.checking import Problem, check
    from agentopt.workspace.corpus import Passage, read_corpus, task_part
    from agentopt.workspace.listing import Item, items
    from agentopt.workspace.prompts import placeholders, prompt, prompt_text, read_prompt, rewrite
    from agentopt.workspace.resolve import find, load_eval, load_graph, load_item, load_optimizer, load_task, names
    from agentopt.workspace.roots import Workspace, builtin_root, find_root, require_root, search_path
    from agentopt.workspace.scaffold import init
    from agentopt.workspace.scripting import scripted
    from agentopt.workspace.settings import run_defaults
    from agentopt.workspace.worked import demo_turns, demonstrations, read_worked, shots, worked_turns

__all__ = [
    "Item",
    "Passage",
    "Problem",
    "Workspace",
    "builtin_root",
    "check",
    "demo_turns",
    "demonstrations",
    "find",
    "find_root",
    "init",
    "items",
    "load_eval",
    "load_graph",
    "load_item",
    "load_optimizer",
    "load_task",
    "names",
    "placeholders",
    "prompt",
    "prompt_text",
    "read_corpus",
    "read_prompt",
    "read_worked",
    "require_root",
    "rewrite",
    "run_defaults",
    "scripted",
    "search_path",
    "shots",
    "task_part",
    "worked_turns",
]

_HOMES = {
    "checking": "Problem check",
    "corpus": "Passage read_corpus task_part",
    "listing": "Item items",
    "prompts": "placeholders prompt prompt_text read_prompt rewrite",
    "resolve": "find load_eval load_graph load_item load_optimizer load_task names",
    "roots": "Workspace builtin_root find_root require_root search_path",
    "scaffold": "init",
    "scripting": "scripted",
    "settings": "run_defaults",
    "worked": "demo_turns demonstrations read_worked shots worked_turns",
}

__getattr__ = lazy(__name__, _HOMES)

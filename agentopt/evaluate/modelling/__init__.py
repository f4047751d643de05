"""Programs that solve optimization problems: found in a reply, run in the sandbox, their answers read.

    from agentopt.evaluate.modelling import solve, solve_reply

    solved = await solve_reply(reply, ["profit", "tables"], seconds=20)
    solved.status, solved.values, solved.text, solved.stdout

Agents that mend their own programs use the same two functions as the scorers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentopt._lazy import lazy

if TYPE_CHECKING:
    from agentopt.evaluate.modelling.answers import Reading, read_json
    from agentopt.evaluate.modelling.figures import read_figure
    from agentopt.evaluate.modelling.formulation import FiveElements, read_five_elements
    from agentopt.evaluate.modelling.lines import LabelledLines
    from agentopt.evaluate.modelling.replies import Found, find_program
    from agentopt.evaluate.modelling.scoring import NO_OPTIMUM, OBJECTIVE, all_figures, optimal_value
    from agentopt.evaluate.modelling.solved import STATUSES, Solved, SolveStatus
    from agentopt.evaluate.modelling.solving import PRELOADED, SECONDS, solve, solve_reply
    from agentopt.evaluate.modelling.tolerances import TOLERANCES, Tolerance, tolerance

__all__ = [
    "NO_OPTIMUM",
    "OBJECTIVE",
    "PRELOADED",
    "SECONDS",
    "STATUSES",
    "TOLERANCES",
    "FiveElements",
    "Found",
    "LabelledLines",
    "Reading",
    "SolveStatus",
    "Solved",
    "Tolerance",
    "all_figures",
    "find_program",
    "optimal_value",
    "read_figure",
    "read_five_elements",
    "read_json",
    "solve",
    "solve_reply",
    "tolerance",
]

_HOMES = {
    "answers": "Reading read_json",
    "figures": "read_figure",
    "formulation": "FiveElements read_five_elements",
    "lines": "LabelledLines",
    "replies": "Found find_program",
    "scoring": "NO_OPTIMUM OBJECTIVE all_figures optimal_value",
    "solved": "STATUSES SolveStatus Solved",
    "solving": "PRELOADED SECONDS solve solve_reply",
    "tolerances": "TOLERANCES Tolerance tolerance",
}

__getattr__ = lazy(__name__, _HOMES)

"""OptoPrime: one model call turns a trace with feedback into new parameter values.

After Cheng, Nie & Swaminathan, "Trace is the Next AutoDiff: Generative Optimization with Rich Feedback, Execution
Traces, and LLMs" (2024), section 4 and appendix: the minimal subgraph as a pseudo-program report, a memory of earlier
tries, an answer as JSON.
"""

from agentopt.optim.optoprime.optimizer import OptoPrimeOptimizer
from agentopt.optim.optoprime.report import Run, report

__all__ = ["OptoPrimeOptimizer", "Run", "report"]

"""The report of a run: one HTML page that needs nothing else, neither network nor files beside it."""

from __future__ import annotations

from agentopt.report.page import render, write_report

__all__ = ["render", "write_report"]

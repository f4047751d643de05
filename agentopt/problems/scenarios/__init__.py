"""The kinds of problem that are generated, by name: linear ones and nonlinear ones."""

from __future__ import annotations

from agentopt.problems.scenarios import choosing, making, mixing, moving, rates, shapes
from agentopt.problems.story import Scenario

__all__ = ["LINEAR", "NONLINEAR", "SCENARIOS"]

LINEAR: dict[str, Scenario] = {
    "production": making.production,
    "fixed charge": making.fixed_charge,
    "planning": making.planning,
    "cutting": making.cutting,
    "diet": mixing.diet,
    "blending": mixing.blending,
    "investment": mixing.investment,
    "transport": moving.transport,
    "assignment": moving.assignment,
    "facility location": moving.facility_location,
    "knapsack": choosing.knapsack,
    "covering": choosing.covering,
    "shifts": choosing.shifts,
}
NONLINEAR: dict[str, Scenario] = {
    "fleet": rates.fleet,
    "rate of profit": rates.rate_of_profit,
    "staffing": rates.staffing,
    "scale effects": rates.scale_effects,
    "pricing": rates.pricing,
    "stock": rates.stock,
    "portfolio": shapes.portfolio,
    "fence": shapes.fence,
    "box": shapes.box,
    "meeting point": shapes.meeting_point,
}
SCENARIOS: dict[str, Scenario] = {**LINEAR, **NONLINEAR}

"""Reader of coefficient tables, the form in which FormulationBench's problems are kept here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from agentopt.evaluate.equivalence.affine import Affine, rational
from agentopt.evaluate.equivalence.formulation import Formulation, read_formulation
from agentopt.evaluate.equivalence.maps import VariableMap

__all__ = ["read_mapping", "read_table"]


def read_table(row: Mapping[str, Any]) -> Formulation:
    """A formulation from a row whose ``model`` has ``variables`` (name, type), ``constraints`` (coeffs, sense, rhs) and
    ``objective`` (sense, coeffs, constant). Variables are free where no constraint bounds them.

    Raises:
        UsageError: a field is missing or wrong.

    >>> print(read_table({"model": {
    ...     "variables": [{"name": "x", "type": "integer"}],
    ...     "constraints": [{"coeffs": {"x": 1.0}, "sense": ">=", "rhs": -0.0}],
    ...     "objective": {"sense": "minimize", "coeffs": {"x": 2.0}, "constant": 0.0}}}))
    min 2 x
      c1: x >= 0
      x in [-inf, inf], whole
    """
    model = row.get("model") or {}
    goal = model.get("objective") or {}
    return read_formulation(
        {
            "name": str(row.get("model_id", "")),
            "variables": [
                {"name": v.get("name"), "integer": v.get("type") in ("integer", "binary"),
                 "description": v.get("description") or "",
                 **({"lower": 0, "upper": 1} if v.get("type") == "binary" else {})}
                for v in model.get("variables") or ()
            ],
            "constraints": [
                {"terms": c.get("coeffs"), "sense": c.get("sense"), "rhs": c.get("rhs"),
                 "description": c.get("description") or ""}
                for c in model.get("constraints") or ()
            ],
            "objective": {
                "sense": str(goal.get("sense"))[:3],
                "terms": goal.get("coeffs"),
                "constant": goal.get("constant", 0),
            },
        }
    )  # fmt: skip


def read_mapping(mapping: Mapping[str, Sequence[Mapping[str, Any]]]) -> VariableMap:
    """A map from lists of ``{constant, variable}``: each target is the sum of constant times variable.

    >>> print(read_mapping({"x": [{"constant": 1, "variable": "x0"}, {"constant": 10, "variable": "x1"}]}))
    x = x0 + 10 x1
    """
    terms: dict[str, Affine] = {}
    for target, parts in mapping.items():
        total = Affine()
        for part in parts:
            total = total.plus(Affine.variable(str(part["variable"])), rational(part["constant"]))
        terms[target] = total
    return VariableMap(terms=terms)

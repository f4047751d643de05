"""Word problems of optimization, linear and nonlinear, with and without tables (Yang et al. 2025, arXiv 2407.09887)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, StringConstraints

from agentopt import Example, Task, task
from agentopt.core.values import digest
from agentopt.evaluate import SplitSpec
from agentopt.evaluate.data import read_rows
from agentopt.evaluate.modelling import all_figures
from agentopt.evaluate.modelling.overlap import used_elsewhere

Type = Literal["linear-notable", "linear-table", "nonlinear-notable", "nonlinear-table"]
FIRST = frozenset([4, 20, 78, 82, 97, 289, 321, 476, 490])
"""Rows whose objective is the first figure; in all others it is the last."""
WITHOUT = frozenset([33, 545, 583])
"""Rows with no objective among their figures."""
WRONG = {
    6: "the label costs 18000, and a feasible plan costs 10000",
    234: "as row 6, which it repeats",
    24: "the label's height is 3e-4 off the exact one, so that no exact answer is within 1e-4",
    342: "as row 24, which it repeats",
}
"""Rows whose label is known to be wrong."""
_DROPPED = (
    "1 6 13 14 15 16 18 24 25 27 28 29 32 33 34 38 40 42 43 44 46 47 52 66 70 72 75 79 80 83 86 87 88 89 90 97 99 "
    "102 104 107 115 117 118 122 123 129 130 133 134 140 141 144 145 146 151 157 159 164 165 166 174 175 177 178 "
    "182 188 197 202 204 206 208 213 221 223 228 229 231 233 234 240 242 251 253 255 259 260 261 263 264 267 268 "
    "270 280 286 293 297 298 300 305 308 309 311 314 318 321 325 326 330 331 340 342 343 345 347 348 351 353 354 "
    "359 362 370 372 375 376 378 383 384 385 387 392 395 396 399 405 407 409 413 414 416 417 421 423 424 426 431 "
    "434 436 437 443 444 446 449 455 461 466 469 471 479 480 482 484 485 486 492 494 501 504 505 509 512 513 514 "
    "515 518 520 523 524 525 532 537 538 540 541 544 546 553 555 558 562 566 572 575 578 579 581 582 583 587 588 "
    "601 603 604"
)
UNCONFIRMED = frozenset(map(int, _DROPPED.split()))
"""Rows that the survey arXiv 2508.10047 does not keep in its cleaned file: not confirmed, which is not wrong."""
SHARED = "231 of the 605 problems are, or nearly are, test problems of NL4OPT: never tune on nl4opt and report here"


class Row(BaseModel):
    """One problem as published; figures are decimal texts."""

    question: Annotated[str, StringConstraints(min_length=1)]
    index: int
    type: Type
    results: dict[str, str]


@task(version=1)
def optibench(
    protocol: Literal["json", "official"] = "json",
    reader: Literal["lines", "model"] = "lines",
    subset: Literal["all", "sound", "confirmed"] = "all",
    headline: Literal["all_keys", "objective_1e-4", "objective_1e-6", "keys"] = "all_keys",
    seconds: float = 20.0,
) -> Task:
    """Write a program that solves an optimization problem and prints every figure that is asked for.

    OptiBench: 605 problems. With ``protocol=json`` the program is told the names of the figures and prints a JSON
    object; ``official`` asks as the benchmark's makers did, tells no names, and reads lines (``reader=model`` has the
    judge read them). ``subset=sound`` is without the four rows whose label is known to be wrong, ``confirmed`` the 403
    that a survey kept. Problems with the same answers are one cluster, and no cluster is on two sides of a split.
    """
    data = read_rows("optibench", "OptiBench.json", Row)
    rows = [row for row in data.rows if _in(row.index, subset)]
    used = used_elsewhere(input_of(row, "official" if protocol == "json" else "json") for row in rows)
    bad = [f"row {index}: {why}" for index, why in WRONG.items() if subset == "all"]
    return Task(
        "optibench" if subset == "all" else f"optibench_{subset}",
        [example(row, protocol) for row in rows],
        all_figures(protocol=protocol, reader=reader, headline=headline, seconds=seconds),
        objective="Write a program that solves an optimization problem and prints every figure that is asked for.",
        split=SplitSpec(search=0.2, validation=0.2, test=0.6),
        notes=(*data.notes, SHARED, *bad, *used),
    )


def _in(index: int, subset: str) -> bool:
    return subset == "all" or (index not in WRONG if subset == "sound" else index not in UNCONFIRMED)


def objective_of(row: Row) -> str | None:
    """The name of the figure that is the optimal value."""
    names = list(row.results)
    return None if row.index in WITHOUT else names[0 if row.index in FIRST else -1]


def input_of(row: Row, protocol: str) -> dict[str, Any]:
    """What a program gets; that of the official protocol is shaped as in ``nl4opt``."""
    return {"problem": row.question, **({"names": list(row.results)} if protocol == "json" else {})}


def example(row: Row, protocol: str) -> Example:
    """A row as an example; what the labels are worth is in ``meta``."""
    return Example(
        id=f"optibench-{row.index}",
        input=input_of(row, protocol),
        target={name: float(value) for name, value in row.results.items()},
        meta={
            "objective": objective_of(row),
            "type": row.type,
            "labels": "as published",
            "confirmed": row.index not in UNCONFIRMED,
            "wrong": WRONG.get(row.index, ""),
        },
        group=row.type,
        cluster=f"answer-{digest(row.results)[:12]}",
    )

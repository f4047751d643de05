"""The account of a budget: amounts are reserved before they are spent and settled after.

At every moment settled + outstanding stays within the budget, on every axis, for every spender alike. A reservation
that would fit once others have settled waits for them, in turn with those that want the same axes; one that can never
fit raises ``BudgetExhausted``. Only a settlement beyond its reservation (a provider that bills past the cap) can break
the bound; each is kept in ``overruns``.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from agentopt.core.values import Budget
from agentopt.errors import BudgetExhausted, UsageError

__all__ = ["Amounts", "Ledger", "Reservation"]

Amounts = dict[str, float]
_COUNTED = ("calls", "tokens", "usd", "evaluations")


@dataclass(slots=True, eq=False)
class Reservation:
    """Amounts set aside for one spender until it settles."""

    role: str
    amounts: Amounts
    open: bool = True


@dataclass(slots=True)
class _Waiter:
    reservation: Reservation
    ready: asyncio.Future[None] = field(repr=False)

    @property
    def amounts(self) -> Amounts:
        return self.reservation.amounts


class Ledger:
    """Reserves and settles amounts of calls, tokens, usd and evaluations; keeps a deadline in seconds.

    Args:
        budget: the limits; an axis that is None is counted but not limited.
        spent: what earlier processes of the same run have settled, by role and axis.
        elapsed: seconds that earlier processes of the same run have used.
        grace: seconds after the deadline in which calls in flight may still be answered.
        clock: seconds that never go back.

    It belongs to one event loop.

    >>> async def main():
    ...     ledger = Ledger(Budget(calls=1))
    ...     one = await ledger.reserve("agent", {"calls": 1})
    ...     ledger.settle(one, {"calls": 1})
    ...     try:
    ...         await ledger.reserve("agent", {"calls": 1})
    ...     except BudgetExhausted as end:
    ...         return end.axis
    >>> asyncio.run(main())
    'calls'
    """

    def __init__(
        self,
        budget: Budget,
        *,
        spent: Mapping[str, Mapping[str, float]] | None = None,
        elapsed: float = 0.0,
        grace: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget, self.grace = budget, grace
        self.overruns: list[tuple[str, str, float]] = []
        """(role, axis, amount) for each settlement beyond its reservation: a provider that billed past the cap."""
        self._limits = {axis: _limit(getattr(budget, axis)) for axis in _COUNTED}
        self._settled = dict.fromkeys(_COUNTED, 0.0)
        self._outstanding = dict.fromkeys(_COUNTED, 0.0)
        self._held = dict.fromkeys(_COUNTED, 0.0)
        self._roles: dict[str, Amounts] = {}
        self._waiting: deque[_Waiter] = deque()
        self._clock, self._start, self._elapsed = clock, clock(), elapsed
        for role, amounts in (spent or {}).items():
            self._book(role, {a: v for a, v in amounts.items() if a in _COUNTED})

    # -- what there is -------------------------------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds used by this run so far, those of earlier processes included."""
        return self._elapsed + max(0.0, self._clock() - self._start)

    @property
    def settled(self) -> Amounts:
        """What has been spent, by axis."""
        return dict(self._settled)

    @property
    def outstanding(self) -> Amounts:
        """What is reserved and not settled yet, by axis."""
        return dict(self._outstanding)

    def by_role(self) -> dict[str, Amounts]:
        """What has been spent, by role and axis."""
        return {role: dict(amounts) for role, amounts in self._roles.items()}

    def remaining(self) -> Budget:
        """What can still be reserved, holds and outstanding reservations taken off."""
        left: dict[str, float | int | None] = {}
        for axis in _COUNTED:
            value = max(0.0, self._limits[axis] - self._settled[axis] - self._outstanding[axis] - self._held[axis])
            left[axis] = None if math.isinf(value) else value if axis == "usd" else int(value)
        if self.budget.seconds is not None:
            left["seconds"] = max(0.0, self.budget.seconds - self.elapsed)
        return Budget.model_validate(left)

    def cutoff(self) -> float | None:
        """Seconds until calls in flight are given up: deadline and grace; None where there is none."""
        if self.budget.seconds is None or math.isinf(self.grace):
            return None
        return max(0.0, self.budget.seconds - self.elapsed + self.grace)

    async def pause(self, seconds: float) -> None:
        """Sleep; raises ``BudgetExhausted`` at once when the deadline would pass in the meantime."""
        if self.budget.seconds is not None and self.elapsed + seconds >= self.budget.seconds:
            raise BudgetExhausted(
                "seconds", f"the next try would come in {seconds:.1f} seconds, after the deadline of the budget"
            )
        await asyncio.sleep(seconds)

    def on_time(self) -> None:
        """Raise ``BudgetExhausted`` when the deadline has passed."""
        if self._late():
            raise BudgetExhausted("seconds", f"the deadline of {self.budget.seconds:g} seconds has passed")

    def can(self, amounts: Mapping[str, float]) -> bool:
        """Whether these amounts could be reserved once everything outstanding has settled at its reservation."""
        return self._blocked_axis(amounts, self._outstanding) is None and not self._late()

    # -- reserve and settle --------------------------------------------------------------------------------------

    async def reserve(self, role: str, amounts: Mapping[str, float]) -> Reservation:
        """Set amounts aside; waits where others' settlements may make room.

        Raises ``BudgetExhausted`` when they cannot fit any more, or the deadline has passed.
        """
        reservation = Reservation(role, {axis: float(v) for axis, v in amounts.items() if v})
        unknown = set(reservation.amounts) - set(_COUNTED)
        if unknown or any(not math.isfinite(v) or v < 0 for v in reservation.amounts.values()):
            raise UsageError(f"cannot reserve {dict(amounts)}: axes are {_COUNTED}, amounts finite and not negative")
        if not any(waiter.amounts.keys() & reservation.amounts for waiter in self._waiting) and self._grant(
            reservation
        ):
            return reservation
        waiter = _Waiter(reservation, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        self._serve()
        try:
            await waiter.ready
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif waiter.ready.done() and not waiter.ready.cancelled() and waiter.ready.exception() is None:
                self.release(reservation)
            self._serve()
            raise
        return reservation

    def settle(self, reservation: Reservation, amounts: Mapping[str, float]) -> None:
        """Replace a reservation by what was really spent. A second settlement of the same one is refused."""
        if not reservation.open:
            raise UsageError(f"a reservation of {reservation.role} is settled twice")
        reservation.open = False
        for axis, value in reservation.amounts.items():
            self._outstanding[axis] -= value
            if self._outstanding[axis] < 1e-9:
                self._outstanding[axis] = 0.0
        for axis in _COUNTED:
            over = amounts.get(axis, 0.0) - reservation.amounts.get(axis, 0.0)
            if over > 1e-9:
                self.overruns.append((reservation.role, axis, over))
        self._book(reservation.role, amounts)
        self._serve()

    def release(self, reservation: Reservation) -> None:
        """Give a reservation back unspent."""
        self.settle(reservation, {})

    def charge(self, role: str, amounts: Mapping[str, float]) -> None:
        """Book amounts that were spent without a reservation here (a call that a crash cut off)."""
        self._book(role, amounts)

    # -- holds ---------------------------------------------------------------------------------------------------

    def hold(self, amounts: Mapping[str, float]) -> None:
        """Keep amounts back for later (the final test): ``reserve`` does not touch them until ``hold({})``."""
        self._held = {axis: float(amounts.get(axis, 0.0)) for axis in _COUNTED}
        self._serve()

    # -- inside --------------------------------------------------------------------------------------------------

    def _book(self, role: str, amounts: Mapping[str, float]) -> None:
        mine = self._roles.setdefault(role, {})
        for axis, value in amounts.items():
            if value:
                mine[axis] = mine.get(axis, 0.0) + value
                self._settled[axis] += value

    def _late(self) -> bool:
        return self.budget.seconds is not None and self.elapsed >= self.budget.seconds

    def _blocked_axis(self, amounts: Mapping[str, float], outstanding: Mapping[str, float]) -> str | None:
        for axis, value in amounts.items():
            free = self._limits[axis] - self._settled[axis] - outstanding[axis] - self._held[axis]
            if value > free + 1e-9:
                return axis
        return None

    def _grant(self, reservation: Reservation) -> bool:
        """Reserve now, or say that it has to wait; raises when waiting is no use."""
        self.on_time()
        if self._blocked_axis(reservation.amounts, self._outstanding) is None:
            for axis, value in reservation.amounts.items():
                self._outstanding[axis] += value
            return True
        short = self._blocked_axis(reservation.amounts, dict.fromkeys(_COUNTED, 0.0))
        if short is not None:
            wanted = reservation.amounts[short]
            left = max(0.0, self._limits[short] - self._settled[short] - self._held[short])
            held = f" ({self._held[short]:g} are held for the final test)" if self._held[short] else ""
            raise BudgetExhausted(
                short,
                f"the budget of {self._limits[short]:g} {short} has {left:g} left{held}; the next {reservation.role} "
                f"call needs {wanted:g}",
            )
        return False

    def _serve(self) -> None:
        """Grant waiting reservations as far as they fit, in their order.

        None overtakes another that wants an axis of its own. Those with other axes may go first: what a waiting
        evaluation waits for is the calls of the evaluations that are under way.
        """
        wanted: set[str] = set()
        for waiter in list(self._waiting):
            if wanted & waiter.amounts.keys():
                continue
            try:
                granted = waiter.ready.done() or self._grant(waiter.reservation)
            except BudgetExhausted as end:
                waiter.ready.set_exception(end)
                granted = True
            if not granted:
                wanted |= waiter.amounts.keys()
                continue
            self._waiting.remove(waiter)
            if not waiter.ready.done():
                waiter.ready.set_result(None)


def _limit(value: float | None) -> float:
    return math.inf if value is None else float(value)

"""The calls of a synthesis: addressed, within the budget, and never the reason why the rest of a round is lost."""

from __future__ import annotations

import asyncio

from agentopt.core.values import digest
from agentopt.errors import BudgetExhausted, LLMError, UnusableAnswer
from agentopt.llm.failures import redact
from agentopt.llm.types import Address, Client, Message, Request, Response
from agentopt.optim.meta import fill, section

__all__ = ["Caller", "Left", "Useless"]

_PATIENCE = 5
"""Calls that are lost in a row until the model counts as gone; each of them was tried again before."""


class Left(Exception):
    """A call without an answer: lost to the world, or not made any more. What was begun stays for a resumption."""


class Useless(Exception):
    """The model was asked, and its answer is of no use; the text says why."""


class Caller:
    """Asks the model of a run.

    Args:
        client: the run's.
        model: a model string.
        seed: of the run; with the address it gives each sampled call a seed of its own.
        timeout: seconds for one attempt.
        most: calls in flight.
    """

    def __init__(self, client: Client, model: str, seed: int, timeout: float, most: int) -> None:
        self._client, self._model, self._seed, self._timeout = client, model, seed, timeout
        self._turns = asyncio.Semaphore(most)  # what waits here can still be left when the model is gone
        self.ended: BudgetExhausted | None = None
        """The end of the budget, once it has come."""
        self.stopping = False
        """Set to end early: what is in flight is finished, nothing new is asked."""
        self.lost: list[str] = []
        """Why calls had no answer, one text each: the world's fault, so that a resumed run makes them again."""
        self._answered = self._in_a_row = 0
        self._failed: LLMError | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more is asked: the budget has ended, the run is to stop, or the model is gone."""
        return self.stopping or self.ended is not None or self._in_a_row >= _PATIENCE

    @property
    def why(self) -> str:
        """Why the last of the lost calls had no answer."""
        return " ".join(self.lost[-1].split()) if self.lost else ""

    async def ask(
        self, scope: str, prompt: str, values: dict[str, str], *, temperature: float, max_tokens: int, repeat: int = 0
    ) -> Response:
        """Ask one thing.

        Args:
            scope: where in the run the call stands.
            prompt: a text with the parts ``system`` and ``user``, and placeholders.
            values: of the placeholders.

        Raises:
            Left: nothing more may be asked, or the model could not be asked.
            Useless: it was asked in vain.
        """
        seed = int(digest([self._seed, scope])[:8], 16) >> 1
        turns = (
            Message(role="system", content=section(prompt, "system")),
            Message(role="user", content=fill(section(prompt, "user"), values)),
        )
        request = Request(
            model=self._model, messages=turns, max_tokens=max_tokens, temperature=temperature, repeat=repeat,
            seed=seed if temperature else None, timeout=self._timeout, address=Address(scope=f"synthesis/{scope}"),
        )  # fmt: skip
        async with self._turns:
            if self.over:
                raise Left
            try:
                response = await self._client.complete(request)
            except BudgetExhausted as end:
                self.ended = self.ended or end
                raise Left from None
            except UnusableAnswer as error:
                self._answered, self._in_a_row = self._answered + 1, 0
                raise Useless(_said(error)) from None
            except LLMError as error:
                self._failed, self._in_a_row = error, self._in_a_row + 1
                self.lost.append(_said(error))
                raise Left from None
            self._answered, self._in_a_row = self._answered + 1, 0
            return response

    def check(self) -> None:
        """Raise the failure of the model when it never answered: it cannot be asked, and a report would hide that."""
        if self._failed is not None and not self._answered:
            raise self._failed


def _said(error: LLMError) -> str:
    return redact(f"{type(error).__name__}: {error}")

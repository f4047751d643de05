"""The calls of a synthesis: addressed, within the budget, and never the reason why the rest of a round is lost."""

from __future__ import annotations

from agentopt.core.values import digest
from agentopt.errors import BudgetExhausted, LLMError, UnusableAnswer
from agentopt.llm.failures import redact
from agentopt.llm.types import Address, Client, Message, Request, Response
from agentopt.optim.meta import fill, section

__all__ = ["Caller", "Left", "Lost"]


class Left(Exception):
    """A call that was not made: the budget has ended, or the run is to stop. What was begun stays for a resumption."""


class Lost(Exception):
    """A call that failed; the text says why."""


class Caller:
    """Asks the model of a run.

    Args:
        client: the run's.
        model: a model string.
        seed: of the run; with the address it gives each sampled call a seed of its own.
        timeout: seconds for one attempt.
    """

    def __init__(self, client: Client, model: str, seed: int, timeout: float) -> None:
        self._client, self._model, self._seed, self._timeout = client, model, seed, timeout
        self.ended: BudgetExhausted | None = None
        """The end of the budget, once it has come."""
        self.stopping = False
        """Set to end early: what is in flight is finished, nothing new is asked."""
        self._answered = 0
        self._failed: LLMError | None = None

    async def ask(
        self, scope: str, prompt: str, values: dict[str, str], *, temperature: float, max_tokens: int, repeat: int = 0
    ) -> Response:
        """Ask one thing.

        Args:
            scope: where in the run the call stands.
            prompt: a text with the parts ``system`` and ``user``, and placeholders.
            values: of the placeholders.

        Raises:
            Left: nothing more may be asked.
            Lost: the model could not be asked, or refused.
        """
        if self.stopping or self.ended is not None:
            raise Left
        seed = int(digest([self._seed, scope])[:8], 16) >> 1
        turns = (
            Message(role="system", content=section(prompt, "system")),
            Message(role="user", content=fill(section(prompt, "user"), values)),
        )
        request = Request(
            model=self._model, messages=turns, max_tokens=max_tokens, temperature=temperature, repeat=repeat,
            seed=seed if temperature else None, timeout=self._timeout, address=Address(scope=f"synthesis/{scope}"),
        )  # fmt: skip
        try:
            response = await self._client.complete(request)
        except BudgetExhausted as end:
            self.ended = self.ended or end
            raise Left from None
        except LLMError as error:
            if not isinstance(error, UnusableAnswer):
                self._failed = error
            raise Lost(redact(f"{type(error).__name__}: {error}")) from None
        self._answered += 1
        return response

    def check(self) -> None:
        """Raise the failure of the model when it never answered: it cannot be asked, and a report would hide that."""
        if self._failed is not None and not self._answered:
            raise self._failed

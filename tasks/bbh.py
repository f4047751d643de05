"""BIG-Bench Hard: tasks on which language models had been behind people (Suzgun et al. 2022, arXiv 2210.09261)."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, StringConstraints

from agentopt import Example, Task, task
from agentopt.errors import UnknownName
from agentopt.evaluate import SplitSpec, brackets, stated_number, stated_option, verdict, word_list
from agentopt.evaluate.data import read_rows
from agentopt.evaluate.option_answers import options_of
from agentopt.evaluate.scoring import Scorer


class Row(BaseModel):
    """One example as published."""

    input: Annotated[str, StringConstraints(min_length=1)]
    target: Annotated[str, StringConstraints(min_length=1)]


NUMBER, OPTION = stated_number(), stated_option()
YES_NO = verdict("Yes", "No", also_positive=("true",), also_negative=("false",))
PLAUSIBLE = verdict("yes", "no", also_positive=("plausible", "true"), also_negative=("implausible", "false"))
ORDER = "Find the order of {} objects from a few statements about it."
SWAPS = "Follow swaps among {} people and say what one of them ends up with."

TASKS: dict[str, tuple[Scorer, str]] = {
    "boolean_expressions": (verdict("True", "False"), "Say whether a Boolean expression is True or False."),
    "causal_judgement": (YES_NO, "Judge as most people would whether one thing caused another. Answer Yes or No."),
    "date_understanding": (OPTION, "Work out a date from what a text says of other dates."),
    "disambiguation_qa": (OPTION, "Say to whom a pronoun refers, or that it is ambiguous."),
    "dyck_languages": (brackets(), "Close the open brackets of a sequence, and give only the closing ones."),
    "formal_fallacies": (verdict("valid", "invalid"), "Say whether an argument is deductively valid or invalid."),
    "geometric_shapes": (OPTION, "Name the shape that an SVG path draws."),
    "hyperbaton": (OPTION, "Find the sentence with the correct order of adjectives."),
    "logical_deduction_five_objects": (OPTION, ORDER.format("five")),
    "logical_deduction_seven_objects": (OPTION, ORDER.format("seven")),
    "logical_deduction_three_objects": (OPTION, ORDER.format("three")),
    "movie_recommendation": (OPTION, "Find the film that is most like four others."),
    "multistep_arithmetic_two": (NUMBER, "Calculate the value of an expression of whole numbers."),
    "navigate": (YES_NO, "Say whether following instructions leads back to the starting point. Answer Yes or No."),
    "object_counting": (NUMBER, "Count the things of one kind in a list of possessions."),
    "penguins_in_a_table": (OPTION, "Answer a question about a small table of penguins."),
    "reasoning_about_colored_objects": (OPTION, "Answer a question about the colours of things that are described."),
    "ruin_names": (OPTION, "Find the funniest change of one letter in the name of a film or an artist."),
    "salient_translation_error_detection": (OPTION, "Name the kind of error in a translation from German."),
    "snarks": (OPTION, "Find the sarcastic one of two statements."),
    "sports_understanding": (PLAUSIBLE, "Say whether a sentence about sports is plausible. Answer yes or no."),
    "temporal_sequences": (OPTION, "Find the time at which somebody could have gone to a place."),
    "tracking_shuffled_objects_five_objects": (OPTION, SWAPS.format("five")),
    "tracking_shuffled_objects_seven_objects": (OPTION, SWAPS.format("seven")),
    "tracking_shuffled_objects_three_objects": (OPTION, SWAPS.format("three")),
    "web_of_lies": (YES_NO, "Say whether a person tells the truth, given who says what of whom. Answer Yes or No."),
    "word_sorting": (word_list(), "Sort words alphabetically and give them in one line."),
}
MALFORMED = {
    ("movie_recommendation", 163): "the title 'Monsters, Inc' was cut into two options, and the target is no letter",
    ("ruin_names", 99): "the target is no letter",
    ("ruin_names", 144): "the target is no letter",
    ("snarks", 88): "an option is missing",
}


def group(name: str, target: str) -> str | None:
    """The label by which splits are stratified; the length of the answer where answers are sequences."""
    scorer = TASKS[name][0]
    if isinstance(scorer, brackets | word_list):
        return f"{len(target.split())} long"
    return None if name == "multistep_arithmetic_two" else target


@task(version=1)
def bbh(name: str = "boolean_expressions", malformed: bool = False) -> Task:
    """One of the 27 tasks of BIG-Bench Hard, chosen by its name; each has a scorer of its type.

    Four rows of the original are malformed and left out; ``malformed=true`` keeps them.
    """
    if name not in TASKS:
        raise UnknownName("task of BIG-Bench Hard", name, TASKS, hint=f"there are {', '.join(TASKS)}")
    scorer, objective = TASKS[name]
    data = read_rows("bbh", f"{name}.json", Row)
    notes, examples = [*data.notes], []
    for index, row in enumerate(data.rows):
        reason = MALFORMED.get((name, index))
        if reason and not malformed:
            notes.append(f"row {index} was left out: {reason}")
            continue
        examples.append(
            Example(
                id=f"{name}-{index}",
                input=row.input,
                target=row.target,
                meta={"options": dict(options_of(row.input))} if scorer == OPTION else {},
                group=group(name, row.target),
            )
        )
    return Task(
        f"bbh_{name}",
        examples,
        scorer,
        objective=objective,
        split=SplitSpec(search=0.2, validation=0.2, test=0.6),
        notes=tuple(notes),
    )

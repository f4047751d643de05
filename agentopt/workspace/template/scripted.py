"""A scripted model, `scripted/beginner`: this workspace runs with it at once, offline. It proves nothing of real ones.

As an agent it adds two numbers, but talks too much, and slips on some of them, unless its prompt says otherwise. As an
optimizer it suggests one of a few instructions, with the {{marks}} of the text that it is to change; where the goal
names a word that the answer must hold, it takes that. Replace it with a real model in agentopt.toml.
"""

import re
import zlib

from agentopt.llm.types import Request

SUGGESTIONS = [
    "Solve this problem. Think carefully, and explain what you do.",
    "Solve this problem. Answer with the number only.",
    "You are good at mathematics. Solve this problem.",
    "Add the two numbers, check the carry, and answer with the number only.",
    "Check the carry, then solve this problem in one short sentence.",
]


def beginner(request: Request):
    """Answer a request: a text, or a dict where JSON is asked for."""
    text = "\n".join(str(message.content) for message in request.messages)
    chance = zlib.crc32(f"{text}{request.seed}{request.repeat}".encode())
    if request.json_schema is not None:
        return _filled(request.json_schema, text, chance)
    if request.role == "optimizer":
        return _suggested("", text, chance)
    return _solved(text, chance)


def _solved(text: str, chance: int) -> str:
    """The sum, as well as the prompt makes the model do it."""
    found = re.findall(r"(\d+) \+ (\d+)", text)
    if not found:
        return "I see no problem here."
    first, second = map(int, found[-1])
    slips = chance % 3 == 0 and "carry" not in text
    total = first + second - (10 if slips else 0)
    if "number only" in text or chance % 4 == 1:
        return str(total)
    return f"The sum of {first} and {second} is {total}."


def _filled(schema: dict, text: str, chance: int, field: str = ""):
    """An object of a JSON schema, with a suggestion in every text field of what is suggested."""
    if schema.get("type") == "object":
        return {name: _filled(inner, text, chance, name) for name, inner in schema.get("properties", {}).items()}
    if schema.get("enum"):
        return schema["enum"][chance % len(schema["enum"])]
    if schema.get("type") in ("integer", "number"):
        low, high = schema.get("minimum", 0), schema.get("maximum", 9)
        return low + chance % (int(high - low) + 1)
    return "The answer must be as the feedback says." if field == "reasoning" else _suggested(field, text, chance)


def _suggested(field: str, text: str, chance: int) -> str:
    """Another text for a variable, with the marks that it has now."""
    now = re.search(rf"^{re.escape(field)} \(text.*$", text, re.MULTILINE)
    marks = list(dict.fromkeys(re.findall(r"\{\{\s*\w+\s*\}\}", now[0] if now else text))) or ["{{problem}}"]
    word = re.search(r"the word (\w+)", text)
    if word:
        return f"{('Hello', word[1], 'Oh')[chance % 3]} {' '.join(marks)}"
    return SUGGESTIONS[chance % len(SUGGESTIONS)] + "\n\n" + "\n".join(marks)

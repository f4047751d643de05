"""What a reply denies: the words that deny, and how far they reach.

A denial reaches to the end of its clause. Of "not deductively valid" and "I do not think that the answer is 18" it is
clear what is denied; of "the apples not eaten are 18" the number is stated, and the denial belongs to another word.
"""

from __future__ import annotations

import re

__all__ = ["denied_after", "denied_before"]

_REACH = 200
"""Characters before a word in which a denial of it is looked for."""
_CLAUSE = re.compile(
    r"[,;.!?\n()\[\]{}]|(?<!answer):|[-–—]\s|→|(?<!anything )\bbut\b|\b(?:and|or|because|since|so|as|if|when|while"
    r"|although|though|however|whereas|yet|therefore|thus|hence)\b",
    re.IGNORECASE,
)
_AFFIRMS = re.compile(
    r"\bno(?:t a)? (?:doubt|question|matter)\b|\bno other\b|\bnone other\b|\bnothing but\b"
    r"|\bnot (?:only|just|merely|simply)\b|\bwithout (?:a |any )?(?:doubt|question)\b|(?:\bnot|n['’]t) doubt\b",
    re.IGNORECASE,
)
"""What has the form of a denial and is none."""
_DENIES = re.compile(
    r"(?P<firm>\b(?:can)?not\b|n['’]t\b|\bnever\b|\bhardly\b|\bnor\b|\bneither\b|\bfail(?:s|ed)? to\b|\bfar from\b"
    r"|\banything but\b|\b(?:false|untrue|wrong|incorrect) (?:that|to)\b|\bunlikely\b"
    r"|\bimpossible\b|\bno (?:way|longer)\b|\brather than\b|\binstead of\b|\bexcept\b|\brul(?:es?|ed|ing) out\b"
    r"|\beliminat(?:es?|ed|ing)\b"
    r"|\bexclud(?:es?|ed|ing)\b|\breject(?:s|ed|ing)?\b|\bdoubt(?:s|ed|ful)?\b|\bdis(?:agree|card|miss)(?:s|es|ed)?\b"
    r"|\b(?:wrong|incorrect|mistaken) (?:answer|option|choice|result|value|number)\b|≠|!=|\\neq?\b)"
    r"|\b(?:no|nobody|no one|none|nothing|without)\b",
    re.IGNORECASE,
)
_STATES = (
    "= is are was were be been being it's that's he's she's equals has have had gets get got makes make leaves costs"
    " cost needs need earns earned takes took totals total"
)
_PASSES_ON = (
    "a an the this that these it its they he she we i you to as of for with by any one ones either there here"
    " would will should could can do does did may might must seem seems appear appears look looks"
    " think thinks believe believes say says said claim suppose agree expect call calls called consider considers"
    " considered regard regarded deemed judged true correct right possible case answer argument conclusion reasoning"
    " statement sentence expression option choice letter result value number final really at all"
)
_STATING = frozenset(_STATES.split())
_LINKS = _STATING | frozenset(_PASSES_ON.split())
"""Words that may stand between a denial and what it denies, in any number."""
_WRONG = (
    r"(?:(?:(?:the|an?)\s+)?(?:wrong|incorrect)|false|invalid|impossible|mistaken|eliminated|excluded|rejected|unlikely|ruled\s+out"
    r"|out\s+of\s+the\s+question|too\s+(?:high|low|large|small|big|much|many|few))\b"
)
_RIGHT = r"(?:(?:correct|right|true|possible|it|so|the|valid|acceptable|an?\s+(?:option|answer|choice))\b|(?=[.!;]|$))"
_AFTER = re.compile(
    r"[\"'”’)*_]{0,3}(?:,?\s+which\s+|,?\s+(?:but|though|although)\s+(?:that|this|it)\s+|\s+)"
    r"(?:(?:is|are|was|were|would be|must be|seems?|looks?|(?:can|could|may|must|should|has|have)\s+(?:be|been))\s+"
    rf"(?:(?:\w+ly|also|quite|just)\s+)?(?:{_WRONG}|not\s+(?:\w+ly\s+)?{_RIGHT})"
    rf"|(?:is|are|was|were)n['’]t\s+{_RIGHT}|can\s?not\s+be\s+{_RIGHT}|can['’]t\s+be\s+{_RIGHT})",
    re.IGNORECASE,
)


def denied_before(before: str) -> bool | None:
    """Whether the text before a word denies that word; None where it holds a denial of which that is not clear.

    >>> [denied_before(t) for t in ("It cannot be ", "It is not A but ", "The number of apples not eaten is ")]
    [True, False, None]
    """
    clause = _AFFIRMS.sub(" ", _CLAUSE.split(before[-_REACH:])[-1])
    found = list(_DENIES.finditer(clause))
    if not found:
        return False
    if len(found) > 1:
        return None
    free, stated = 0, False
    for word in re.findall(r"[\w'’]+|=", clause[found[0].end() :].casefold()):
        word = word.replace("’", "'")
        stated = stated or (bool(free) and word in _STATING)  # "not eaten is": another word is denied
        free += word not in _LINKS and not word.isdigit()
    clear = not free or (found[0]["firm"] is not None and free <= 2 and not stated)
    return True if clear else None


def denied_after(after: str) -> bool:
    """Whether the text after a word says that it is wrong.

    >>> [denied_after(t) for t in (" is not correct.", ", which is wrong", " is the answer")]
    [True, True, False]
    """
    return _AFTER.match(after[:_REACH]) is not None

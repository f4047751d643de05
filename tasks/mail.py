"""Short messages of customers, to be sorted by topic."""

from __future__ import annotations

import random

from agentopt import Example, task
from agentopt.evaluate import SplitSpec, choice

MESSAGES = {
    "billing": (
        "I was charged twice this month.",
        "Where do I find my invoice?",
        "Please give me my money back.",
        "The price on my receipt is wrong.",
        "My card was declined when I paid.",
        "Can you send the receipt to our accountant?",
        "Why has the monthly fee gone up?",
        "The discount was not taken off.",
    ),
    "technical": (
        "The app closes as soon as I open it.",
        "I get an error 500 on the search page.",
        "The export button does nothing.",
        "Pages load very slowly since the update.",
        "My phone no longer gets notifications.",
        "The file upload stops at 80 percent.",
        "The map stays blank on my tablet.",
        "Search finds nothing any more.",
    ),
    "account": (
        "I forgot my password.",
        "How do I change my email address?",
        "Please delete my profile.",
        "Someone else logged in with my name.",
        "I cannot find where to change my user name.",
        "Can I merge two profiles?",
        "The confirmation code for the login never comes.",
        "I want to add a second user.",
    ),
    "shipping": (
        "My parcel has not come.",
        "The box was open when it arrived.",
        "Can I change the delivery address?",
        "The courier left it at the wrong house.",
        "When will my order leave your warehouse?",
        "Tracking has not moved for a week.",
        "Do you deliver on Saturdays?",
        "Half of the package was missing.",
    ),
}
OPENINGS = ("Hello,", "Hi there.", "Good morning.", "Dear team,", "Hey!", "To whom it may concern:")
ENDINGS = ("Thanks!", "I have been a customer for 3 years.", "Please hurry.", "I am very upset.", "Have a nice day.")


@task(version=1, split=SplitSpec(search=0.25, validation=0.25, test=0.5))
def mail(n: int = 200, seed: int = 0) -> object:
    """Name the topic of a customer's message: billing, technical, account or shipping."""
    draw = random.Random(f"mail/{seed}")
    topics = list(MESSAGES)
    examples: dict[str, Example] = {}
    while len(examples) < n:
        topic = topics[len(examples) % len(topics)]
        text = f"{draw.choice(OPENINGS)} {draw.choice(MESSAGES[topic])} {draw.choice(ENDINGS)}"
        examples.setdefault(text, Example(input=text, target=topic, group=topic))
    return list(examples.values()), choice(*topics)

"""Makes docs/api/*.md from docstrings: one page for each package that users import from. Run by ``make docs``."""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGES = (
    "agentopt", "agentopt.core", "agentopt.core.values", "agentopt.evaluate", "agentopt.evaluate.modelling",
    "agentopt.export", "agentopt.llm",
    "agentopt.llm.gateway", "agentopt.optim", "agentopt.optim.base", "agentopt.report", "agentopt.run.api",
    "agentopt.problems", "agentopt.run.config", "agentopt.run.deploy", "agentopt.run.files", "agentopt.run.measure",
    "agentopt.run.replay", "agentopt.run.rescore", "agentopt.run.synthesis", "agentopt.run.versus", "agentopt.sandbox",
    "agentopt.serve",
    "agentopt.store", "agentopt.testing", "agentopt.workspace", "agentopt.errors",
)  # fmt: skip


def main() -> None:
    """Write every page, and remove those of packages that are gone."""
    folder = HERE / "api"
    folder.mkdir(exist_ok=True)
    written = {folder / "index.md"}
    listed = ["# API reference", "", "Made from the docstrings by `make docs`.", ""]
    for name in PAGES:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError:
            continue
        path = folder / f"{name}.md"
        path.write_text(page(name, module), encoding="utf-8")
        written.add(path)
        listed.append(f"- [`{name}`]({path.name}): {first_line(module)}")
    (folder / "index.md").write_text("\n".join(listed) + "\n", encoding="utf-8")
    for path in set(folder.glob("*.md")) - written:
        path.unlink()
    print(f"{len(written)} pages in {folder}")


def page(name: str, module: Any) -> str:
    """One package: its own words, then every public name."""
    parts = [f"# `{name}`", "", inspect.getdoc(module) or "", ""]
    for public in getattr(module, "__all__", ()):
        thing = getattr(module, public)
        parts += entry(public, thing, "##")
        if inspect.isclass(thing):
            for member in members(thing):
                parts += entry(f"{public}.{member}", inspect.getattr_static(thing, member), "###")
    return "\n".join(parts).rstrip() + "\n"


def members(kind: type) -> list[str]:
    """Public methods and properties that a class defines itself and documents."""
    found = []
    for name, value in vars(kind).items():
        plain = getattr(value, "__func__", value)
        documented = inspect.getdoc(plain) if inspect.isroutine(plain) or isinstance(value, property) else None
        if not name.startswith("_") and documented and name not in ("model_post_init",):
            found.append(name)
    return found


def entry(name: str, thing: Any, heading: str) -> list[str]:
    """Heading, signature and docstring of one name."""
    plain = getattr(thing, "__func__", thing)
    lines = [f"{heading} `{name}`", ""]
    if callable(plain) and not isinstance(thing, property):
        try:
            signature = re.sub(r" at 0x[0-9a-f]+", "", str(inspect.signature(plain)))
        except (TypeError, ValueError):
            signature = ""
        if signature and "<object object" not in signature:
            lines += [
                "```text",
                textwrap.fill(name.rpartition(".")[2] + signature, 110, subsequent_indent="    "),
                "```",
                "",
            ]
    words = inspect.getdoc(plain) if not isinstance(plain, (str, int, float, tuple, dict)) else None
    shown = re.sub(r" at 0x[0-9a-f]+", "", repr(thing))[:200]
    return [*lines, as_markdown(words), ""] if words else [*lines, f"`{shown}`", ""]


def as_markdown(words: str) -> str:
    """A docstring as Markdown: examples fenced, double backticks single, section heads bold."""
    lines: list[str] = []
    inside = False
    for line in words.replace("``", "`").splitlines():
        starts = line.startswith(">>> ")
        if starts and not inside:
            lines += ["```python", line]
            inside = True
        elif inside and not line.strip():
            lines += ["```", ""]
            inside = False
        elif not inside and line.rstrip() in ("Args:", "Returns:", "Raises:", "Yields:"):
            lines += [f"**{line.rstrip(':')}**", ""]
        elif not inside and line.startswith("    ") and ": " in line and not line.startswith("     "):
            head, _, rest = line.strip().partition(": ")
            lines.append(f"- `{head}`: {rest}")
        else:
            lines.append(line)
    return "\n".join([*lines, "```"] if inside else lines)


def first_line(module: Any) -> str:
    """The first line of a module's docstring."""
    return (inspect.getdoc(module) or "").partition("\n")[0]


if __name__ == "__main__":
    main()

"""The kernel against trace-opt and textgrad: the same workloads, each library in an environment of its own.

    python tests/benchmarks/kernel.py                 # makes the environments under .venvs/ when they are missing
    python tests/benchmarks/kernel.py --only agentopt

Prints one table and writes ``docs/results/kernel.json`` (every run) and ``docs/results/kernel.md``. Every measurement
is a process of its own; a backward pass that does not end within the cap is reported as such, and larger ones are not
tried.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SIZES = (10, 100, 1_000, 10_000)
SHAPES = ("chain", "star", "diamonds")
TARGETS = {
    "operator": (2.0, "µs"),
    "call": (5.0, "µs"),
    "chain 10,000": (30.0, "ms"),
    "diamonds 1,000": (20.0, "ms"),
    "bytes": (400.0, "bytes"),
}
PEERS = {
    # trace-opt declares xgboost and scikit-learn, which pull more than a gigabyte; its tracing imports neither.
    "trace-opt": (["--no-deps", "trace-opt==0.1.3.8"], ["graphviz", "numpy", "black"]),
    # textgrad declares datasets, which its tracing does not import.
    "textgrad": (
        ["--no-deps", "textgrad==0.1.8"],
        ["openai", "tenacity", "python-dotenv", "pandas", "platformdirs", "diskcache", "graphviz", "gdown", "litellm"],
        ["pillow", "httpx"],
    ),
}
SCRIPTS = {"agentopt": "kernel_agentopt.py", "trace-opt": "kernel_trace.py", "textgrad": "kernel_textgrad.py"}


def environment(name: str, folder: Path) -> str:
    """The interpreter of a library's environment, made when it is missing."""
    if name == "agentopt":
        return sys.executable
    python = folder / name / "bin" / "python"
    ready = folder / name / "ready"
    if not ready.exists():
        print(f"making the environment of {name} under {folder / name} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
        for packages in PEERS[name]:
            subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
        ready.touch()
    return str(python)


def measure(python: str, script: str, task: dict[str, Any], cap: float) -> Any:
    """One measurement: its runs, or a text that says why there are none."""
    task = {"runs": 1, "enough": cap / 3, "memory": 3 << 30, **task}
    settings = {**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{ROOT}", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [python, str(HERE / script), json.dumps(task)],
                capture_output=True,
                text=True,
                timeout=cap,
                cwd=folder,
                env=settings,
            )
        except subprocess.TimeoutExpired:
            return f"over {cap:g} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["ended without a word"])[-1].partition(":")[0]
    return json.loads(done.stdout.strip().splitlines()[-1])


def library(name: str, python: str, runs: int, cap: float) -> dict[str, Any]:
    """Everything that is measured of one library."""
    script = SCRIPTS[name]
    found: dict[str, Any] = {"version": measure(python, script, {"kind": "version"}, cap)}
    for what in ("operator", "call"):
        found[what] = measure(python, script, {"kind": "forward", "what": what, "n": 1_000, "runs": 8 * runs}, cap)
        show(name, what, found[what])
    for shape in SHAPES:
        reason = None
        for n in SIZES:
            key = f"{shape} {n:,}"
            if reason is not None:
                found[key] = f"not tried ({reason})"
                continue
            found[key] = measure(python, script, {"kind": "backward", "shape": shape, "n": n, "runs": runs}, cap)
            show(name, key, found[key])
            if isinstance(found[key], str):
                reason = f"{n:,}: {found[key]}"
    found["bytes"] = measure(python, script, {"kind": "size", "n": 10_000, "runs": 3}, cap)
    found["leak"] = measure(python, script, {"kind": "leak", "n": 200, "runs": 3}, cap)
    show(name, "bytes", found["bytes"])
    show(name, "leak", found["leak"])
    if name == "agentopt":
        found["million"] = measure(python, script, {"kind": "traced", "n": 1_000_000}, max(cap, 120))
        print(f"{name:10s} a chain of 1,000,000 in a trace: {found['million']}", flush=True)
    return found


def show(name: str, key: str, result: Any) -> None:
    """A line of progress."""
    print(f"{name:10s} {key:16s} {cell(result)}", flush=True)


def cell(result: Any) -> str:
    """Median and number of runs, or the reason why there is none."""
    if result is None:
        return "–"
    if isinstance(result, str):
        return result
    middle = statistics.median(result)
    return f"{number(middle)} ({number(min(result))}; n={len(result)})"


def number(value: float) -> str:
    """Three digits that count."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def table(results: dict[str, dict[str, Any]]) -> list[str]:
    """The Markdown table."""
    names = list(results)
    rows = [
        ("µs an operator (`x + 1`)", "operator"),
        ("µs a call (two arguments)", "call"),
        *((f"ms backward, {shape} of {n:,}", f"{shape} {n:,}") for shape in SHAPES for n in SIZES),
        ("bytes kept for each `x + 1`", "bytes"),
        ("bytes leaked each training step", "leak"),
    ]
    lines = ["| | target | " + " | ".join(f"{n} {results[n]['version']}" for n in names) + " |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for label, key in rows:
        target, unit = TARGETS.get(key, (None, ""))
        wanted = "no leak" if key == "leak" else "" if target is None else f"≤ {target:g} {unit}"
        lines.append(f"| {label} | {wanted} | " + " | ".join(cell(results[n].get(key)) for n in names) + " |")
    return lines


def machine() -> dict[str, Any]:
    """What it was measured on."""
    model = ""
    info = Path("/proc/cpuinfo")
    if info.exists():
        model = next((x.split(":")[1].strip() for x in info.read_text().splitlines() if x.startswith("model name")), "")
    load = [round(x, 1) for x in os.getloadavg()]
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version(), "load": load}


def report(results: dict[str, dict[str, Any]], about: dict[str, Any], runs: int, cap: float) -> str:
    """The whole Markdown page."""
    million = results.get("agentopt", {}).get("million")
    lines = [
        "# The kernel, measured",
        "",
        "Made by `python tests/benchmarks/kernel.py`; every run is in `kernel.json` beside this page. A cell is the",
        f"median (the minimum; number of runs). A backward pass had {cap:g} s for its process; where one did not end,",
        "larger ones were not tried.",
        "",
        f"Machine: {about['cpu']}, {about['cores']} cores, Python {about['python']}, load average {about['load']} when",
        "it began. Times are processor time of the process, because other work ran beside it; that still shares caches",
        "and memory, so the minimum is the better estimate of what the code costs.",
        "",
        *table(results),
        "",
    ]
    if isinstance(million, dict):
        lines += [
            f"A chain of 1,000,000 nodes inside a `Trace` (agentopt): made in {million['made_s']:.2f} s, backward in "
            f"{million['backward_s']:.2f} s, freed in {million['freed_s']:.2f} s, "
            f"{million['bytes_a_node']:.0f} bytes of resident memory a node; no recursion.",
            "",
        ]
    lines += [
        "- Star: n readers of one parameter, summed. Diamonds: n times `x = (x + 1) + (x + 1)`, so 3n operators.",
        "- trace-opt makes a node for the literal of `x + 1` too; its bytes count both.",
        "- textgrad's variables hold text: its operator adds an empty text, its call is a `StringBasedFunction`,",
        "  and its backward pass talks to a stub that answers at once, so that no model time is in it. It puts each",
        "  gradient into a variable twice, so that the text doubles with every addition: that is why its chain ends",
        "  where it does.",
        "- Memory of a process is limited to 3 GiB; `MemoryError` or `RecursionError` is what the library ended with.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", type=Path, default=ROOT / ".venvs", help="where the peers' environments are")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cap", type=float, default=120, help="seconds for one measurement")
    parser.add_argument("--only", nargs="*", choices=list(SCRIPTS), default=list(SCRIPTS))
    args = parser.parse_args()
    about = machine()
    results = {name: library(name, environment(name, args.envs), args.runs, args.cap) for name in args.only}
    args.out.mkdir(parents=True, exist_ok=True)
    data = {"machine": about, "runs": args.runs, "cap_s": args.cap, "targets": TARGETS, "results": results}
    (args.out / "kernel.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    page = report(results, about, args.runs, args.cap)
    (args.out / "kernel.md").write_text(page, encoding="utf-8")
    print("\n" + "\n".join(table(results)))


if __name__ == "__main__":
    main()

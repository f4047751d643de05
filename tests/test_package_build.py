"""What is shipped: a wheel with one top-level name and the workspace inside; an sdist that builds the same."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("graphs", "tasks", "prompts", "evals")


def test_workspace_folders_are_not_packages() -> None:
    assert [p for folder in FOLDERS for p in (ROOT / folder).rglob("__init__.py")] == []


def test_version_has_one_value() -> None:
    import agentopt

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == agentopt.__version__
    assert f"## {agentopt.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_hook_leaves_editable_installs_alone() -> None:
    script = (
        "import hatch_build\nhook = hatch_build.WorkspaceHook.__new__(hatch_build.WorkspaceHook)\n"
        "there = sum(hatch_build.Path(folder).is_dir() for folder in hatch_build.FOLDERS)\nassert there\n"
        "for version, count in (('editable', 0), ('standard', there)):\n"
        "    data = {'force_include': {}}\n    hook.initialize(version, data)\n"
        "    assert len(data['force_include']) == count, data\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel built from it, made without any network."""
    pytest.importorskip("build")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    return out


def test_wheel_has_one_top_level_name_and_the_workspace(built: Path) -> None:
    wheel = next(built.glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.partition("/")[0] for n in names} == {"agentopt", "agentopt-0.1.0.dist-info"}
    shipped = {n.removeprefix("agentopt/_workspace/") for n in names if n.startswith("agentopt/_workspace/")}
    there = {
        p.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for p in (ROOT / folder).rglob("*")
        if p.is_file() and "__pycache__" not in p.parts
    }
    assert shipped == there
    for wanted in (
        "agentopt/py.typed",
        "agentopt/serve/models.toml",
        "agentopt/workspace/template/agentopt.toml",
        "agentopt/workspace/template/dot-gitignore",
        "agentopt-0.1.0.dist-info/licenses/LICENSE",
    ):
        assert wanted in names, wanted
    assert not [n for n in names if "__pycache__" in n or n.startswith("agentopt/tests")]


def test_sdist_keeps_the_natural_layout(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = archive.getnames()
    tops = {n.split("/")[1] for n in names if "/" in n}
    assert {"agentopt", "prompts", "tests", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE"} <= tops
    assert not [n for n in names if n.endswith((".gguf", ".sqlite", ".pyc"))]


def test_an_installed_wheel_works_from_anywhere(built: Path, tmp_path: Path) -> None:
    """Unpacked on a path of its own, with no checkout in sight: list, init and an offline optimization."""
    site = tmp_path / "site"
    zipfile.ZipFile(next(built.glob("*.whl"))).extractall(site)
    script = (
        f"import sys\nsys.path = [{str(site)!r}, *(p for p in sys.path if p and p != {str(ROOT)!r})]\n"
        "import agentopt, pathlib\n"
        f"assert agentopt.__file__.startswith({str(site)!r}), agentopt.__file__\n"
        "from agentopt.workspace import builtin_root\nassert builtin_root().name == '_workspace', builtin_root()\n"
        "from agentopt.cli import main\nmain(sys.argv[1:])\n"
    )
    runner = tmp_path / "runner.py"
    runner.write_text(script)

    def call(*args: str, cwd: Path) -> str:
        ran = subprocess.run(
            [sys.executable, "-I", str(runner), *args], cwd=cwd, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    assert "meta/optoprime" in call("list", "prompts", cwd=Path("/"))
    call("init", "ws", cwd=tmp_path)
    assert "no problems" in call("check", cwd=tmp_path / "ws")
    assert "test:" in call("optimize", "-q", cwd=tmp_path / "ws")

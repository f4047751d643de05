"""The report in a real browser, where one is found: nothing fails, nothing is loaded, and what is clicked answers."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agentopt.report import write_report
from agentopt.run.files import RunFile

BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="NOT LOOKED AT IN A BROWSER: chromium is not here")

_SPEC = importlib.util.spec_from_file_location("report_runs", Path(__file__).with_name("test_report.py"))
assert _SPEC is not None and _SPEC.loader is not None
runs: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(runs)


class Tab:
    """A page of a browser, driven over its own protocol."""

    def __init__(self, socket: Any) -> None:
        self._socket, self._number = socket, 0
        self.events: list[dict[str, Any]] = []

    async def do(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        while True:
            said = await self._socket.receive_json(timeout=60)
            if said.get("id") == self._number:
                assert "error" not in said, said
                result: dict[str, Any] = said["result"]
                return result
            self.events.append(said)

    async def js(self, expression: str) -> Any:
        found = await self.do("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, expression: str) -> None:
        for _ in range(200):
            if await self.js(expression):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never true: {expression}")

    async def key(self, name: str) -> None:
        await self.do("Input.dispatchKeyEvent", type="keyDown", key=name, text=name if len(name) == 1 else "")
        await self.do("Input.dispatchKeyEvent", type="keyUp", key=name)

    async def show(self, page: Path, *, width: int = 1200, scheme: str = "light") -> None:
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.do("Emulation.setDeviceMetricsOverride", **size)
        await self.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await self.do("Page.navigate", url=page.as_uri())
        await self.until("document.readyState === 'complete' && document.querySelector('#matrix button') !== null")


@pytest.fixture
async def tab() -> AsyncIterator[Tab]:
    aiohttp = pytest.importorskip("aiohttp")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}", "about:blank"], stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stderr is not None
            found = next(m for line in process.stderr if (m := re.search(r"ws(://127[^/]+/)", line)))
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http{found[1]}json") as answer:
                    pages = [one for one in await answer.json() if one["type"] == "page"]
                async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    opened = Tab(socket)
                    for domain in ("Page", "Runtime", "Log", "Network"):
                        await opened.do(f"{domain}.enable")
                    yield opened
        finally:
            process.terminate()
            process.communicate(timeout=30)


@pytest.fixture
async def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    made: Path = await runs.run_it(tmp_path)
    return made


async def test_it_works_in_a_browser(tab: Tab, folder: Path) -> None:
    page = write_report(folder).resolve()
    with RunFile(folder) as run:
        claim = run.claim()
    assert claim is not None
    await tab.show(page)
    # filters: what the table finds is what the claim counted
    for which, count in (("gained", claim.gained), ("lost", claim.lost)):
        await tab.js(
            f"for (const [id, value] of [['split', 'test'], ['which', '{which}']]) {{ const one = document."
            "getElementById(id); one.value = value; one.dispatchEvent(new Event('change')); }"
        )
        assert await tab.js("document.querySelectorAll('#matrix tbody tr').length") == count, which
    # the keyboard walks the table and opens a cell, whose text stays text
    await tab.js("which.value = 'all'; which.dispatchEvent(new Event('change'))")
    await tab.js("document.querySelector('#matrix button[tabindex=\"0\"]').focus()")
    await tab.key("ArrowDown")
    await tab.key("ArrowRight")
    assert await tab.js("document.activeElement.closest('tr').rowIndex") == 2
    assert await tab.js("document.activeElement.closest('td').cellIndex") == 2
    await tab.js("document.activeElement.click()")
    await tab.until("document.getElementById('detail').open")
    body = await tab.js("document.getElementById('detail-body').textContent")
    assert "<img src=x onerror=alert(1)>" in body
    assert "Answer carefully: q" in body
    title = await tab.js("document.getElementById('detail-title').textContent")
    await tab.js("document.getElementById('next').click()")
    await tab.until(f"document.getElementById('detail-title').textContent !== {title!r}")
    await tab.js("document.getElementById('close').click()")
    # the graph zooms and comes back
    box = "document.querySelector('figure.traced svg').getAttribute('viewBox')"
    whole = await tab.js(box)
    await tab.js("document.querySelector('figure.traced').focus()")
    await tab.key("+")
    zoomed = await tab.js(box)
    await tab.key("ArrowLeft")
    assert len({whole, zoomed, await tab.js(box)}) == 3
    await tab.key("0")
    assert [float(v) for v in (await tab.js(box)).split()] == [float(v) for v in whole.split()]
    # the switch of the theme
    colour = "getComputedStyle(document.body).backgroundColor"
    light = await tab.js(colour)
    for _ in range(2):
        await tab.js("document.getElementById('theme').click()")
    assert await tab.js("document.documentElement.dataset.theme") == "dark"
    assert await tab.js(colour) != light
    # nothing failed, nothing was refused by the policy, nothing was loaded but the page
    faults = [
        e
        for e in tab.events
        if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening")
    ]
    assert faults == []
    asked = {e["params"]["request"]["url"] for e in tab.events if e["method"] == "Network.requestWillBeSent"}
    assert asked == {page.as_uri()}


async def test_narrow_dark_and_print(tab: Tab, folder: Path) -> None:
    page = write_report(folder).resolve()
    await tab.show(page, width=400, scheme="dark")
    assert await tab.js("document.documentElement.scrollWidth") == 400
    assert await tab.js("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
    await tab.do("Emulation.setEmulatedMedia", media="print")
    await tab.js("dispatchEvent(new Event('beforeprint'))")
    assert await tab.js("document.querySelectorAll('details:not([open])').length") == 0
    assert await tab.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert await tab.js("getComputedStyle(document.getElementById('theme')).display") == "none"

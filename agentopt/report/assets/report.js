"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const table = JSON.parse($("table").textContent);

  // Every text of a model or a user goes through textContent: nothing here makes HTML of a string.
  function make(tag, options = {}, ...children) {
    const { className, text, ...rest } = options;
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    for (const [name, value] of Object.entries(rest)) element.setAttribute(name, value);
    element.append(...children.filter((child) => child !== null));
    return element;
  }
  const told = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
  const plain = (value, digits = 3) => (value === null ? "–" : String(Number(value.toFixed(digits))));

  // -- theme ---------------------------------------------------------------------------------------------------
  const themes = ["system", "light", "dark"];
  function setTheme(theme) {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    $("theme").textContent = `Theme: ${theme}`;
    try { localStorage.setItem("agentopt-theme", theme); } catch { /* a page from a file may have no storage */ }
  }
  let theme = "system";
  try { theme = localStorage.getItem("agentopt-theme") ?? "system"; } catch { /* as above */ }
  setTheme(themes.includes(theme) ? theme : "system");
  $("theme").hidden = false;
  $("theme").addEventListener("click", () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    setTheme(theme);
  });

  // -- what a point of a chart says ------------------------------------------------------------------------------
  const tip = $("tip");
  function showTip(event) {
    const place = event.currentTarget.getBoundingClientRect();
    tip.textContent = event.currentTarget.dataset.tip;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = place.left + place.width / 2 - box.width / 2;
    tip.style.left = `${Math.max(8, Math.min(left, innerWidth - box.width - 8))}px`;
    tip.style.top = `${place.top > box.height + 12 ? place.top - box.height - 8 : place.bottom + 8}px`;
  }
  for (const point of document.querySelectorAll("[data-tip]")) {
    for (const name of ["pointerenter", "focus"]) point.addEventListener(name, showTip);
    for (const name of ["pointerleave", "blur"]) point.addEventListener(name, () => { tip.hidden = true; });
  }
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  // -- pan and zoom ----------------------------------------------------------------------------------------------
  function zoomable(figure) {
    const svg = figure.querySelector("svg");
    const home = svg.viewBox.baseVal;
    const full = { x: home.x, y: home.y, width: home.width, height: home.height };
    const view = { ...full };
    const draw = () => svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
    function zoom(factor, at = { x: 0.5, y: 0.5 }) {
      const width = Math.min(Math.max(view.width * factor, full.width / 40), full.width * 2);
      const scale = width / view.width;
      view.x += view.width * (1 - scale) * at.x;
      view.y += view.height * (1 - scale) * at.y;
      view.width = width;
      view.height *= scale;
      draw();
    }
    function move(x, y) { view.x += x * view.width; view.y += y * view.height; draw(); }
    function fit() { Object.assign(view, full); draw(); }
    const keys = {
      "+": () => zoom(0.8), "=": () => zoom(0.8), "-": () => zoom(1.25), "0": fit,
      ArrowLeft: () => move(-0.1, 0), ArrowRight: () => move(0.1, 0), ArrowUp: () => move(0, -0.1), ArrowDown: () => move(0, 0.1),
    };
    figure.addEventListener("keydown", (event) => {
      if (event.target !== figure || !keys[event.key] || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      keys[event.key]();
    });
    svg.addEventListener("wheel", (event) => {
      if (document.activeElement !== figure && !event.ctrlKey) return; // the page scrolls until the graph was clicked
      event.preventDefault();
      const box = svg.getBoundingClientRect();
      zoom(Math.exp(event.deltaY * 0.0015), { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height });
    }, { passive: false });
    svg.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      figure.focus({ preventScroll: true });
      svg.setPointerCapture(event.pointerId);
      svg.classList.add("held");
      event.preventDefault();
    });
    svg.addEventListener("pointermove", (event) => {
      if (!svg.hasPointerCapture(event.pointerId)) return;
      const matrix = svg.getScreenCTM();
      view.x -= event.movementX / matrix.a;
      view.y -= event.movementY / matrix.d;
      draw();
    });
    for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, () => svg.classList.remove("held"));
    const tools = make("div", { className: "tools" });
    for (const [sign, name, act] of [["+", "Zoom in", () => zoom(0.7)], ["−", "Zoom out", () => zoom(1.4)], ["⤢", "Fit", fit]]) {
      const button = make("button", { text: sign, type: "button", "aria-label": name, title: name });
      button.addEventListener("click", act);
      tools.append(button);
    }
    figure.append(tools);
    figure.classList.add("live");
    const hint = figure.querySelector(".hint");
    if (hint) hint.textContent = "Drag to move; click, then wheel to zoom; or + − 0 and the arrow keys.";
    addEventListener("beforeprint", fit);
  }
  document.querySelectorAll("figure.zoom").forEach(zoomable);
  const traced = document.querySelectorAll("figure.traced");
  function showTraced() { traced.forEach((figure, i) => { figure.hidden = String(i) !== ($("traced")?.value ?? "0"); }); }
  $("traced")?.addEventListener("change", showTraced);
  if (traced.length) showTraced();

  // -- commands ----------------------------------------------------------------------------------------------------
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      } catch {
        getSelection().selectAllChildren(code);
      }
    });
  }

  // -- pieces: gzip, unpacked when they are looked at ----------------------------------------------------------------
  const unpacked = new Map();
  async function piece(name) {
    if (unpacked.has(name)) return unpacked.get(name);
    const source = $(`piece-${name}`);
    if (source === null) return null;
    const bytes = Uint8Array.from(atob(source.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const content = JSON.parse(await new Response(stream).text());
    unpacked.set(name, content);
    return content;
  }

  // -- the table of cells ------------------------------------------------------------------------------------------
  const [bottom, top] = table.range;
  const grid = table.examples.map(() => new Map());
  for (const [example, candidate, score, status] of table.cells) grid[example].set(candidate, { score, status });
  const best = table.candidates.findIndex((candidate) => candidate.best);
  const pair = best > 0 ? [0, best] : [0];
  const PAGE = 60;
  let shown = [];
  let columns = [];
  let pages = 1;

  function keep(example) {
    const split = $("split").value;
    if (split && table.examples[example].split !== split) return false;
    const cells = grid[example];
    if (!cells.size) return false;
    const [a, b] = pair.map((candidate) => cells.get(candidate)?.score ?? null);
    switch ($("which").value) {
      case "gained": return a !== null && b !== null && pair.length > 1 && b > a;
      case "lost": return a !== null && b !== null && pair.length > 1 && b < a;
      case "failed": return columns.some((candidate) => (cells.get(candidate)?.status ?? "ok") !== "ok");
      default: return true;
    }
  }
  function face(cell) {
    if (cell === undefined) return ["cell none", "", "not run"];
    if (cell.status === "infra_error" && cell.score === null) return ["cell lost", "?", "lost to infrastructure"];
    const score = cell.score === null ? "–" : plain(cell.score, 2);
    if (cell.status === "agent_error" || cell.status === "timeout") return ["cell bad", cell.status === "timeout" ? "⏱" : "!", cell.status];
    const kind = cell.score === null ? "lost" : cell.score >= top ? "full" : cell.score > bottom ? "some" : "";
    return [`cell ${kind}`, score, `score ${score}`];
  }
  function drawTable() {
    columns = $("columns").value === "pair" ? pair : table.candidates.map((_, i) => i);
    shown = table.examples.map((_, i) => i).filter(keep);
    columns = columns.filter((candidate) => candidate === 0 || shown.some((example) => grid[example].has(candidate)));
    const total = grid.filter((cells) => cells.size).length;
    const seen = Math.min(shown.length, pages * PAGE);
    $("count").textContent = `${shown.length} of ${total} examples${seen < shown.length ? `, the first ${seen} of them shown` : ""}`;
    const head = make("tr", {}, make("th", { text: "Example", scope: "col" }));
    for (const candidate of columns) {
      const { label, id, best: chosen } = table.candidates[candidate];
      head.append(make("th", { text: chosen && candidate ? `${label} best` : label, className: chosen ? "best" : "", scope: "col", title: id }));
    }
    const body = make("tbody");
    for (const example of shown.slice(0, pages * PAGE)) {
      const { split, text } = table.examples[example];
      const row = make("tr", {}, make("th", { scope: "row", title: text }, make("small", { text: split }), text));
      for (const candidate of columns) {
        const cell = grid[example].get(candidate);
        const [className, sign, words] = face(cell);
        const button = make(cell === undefined ? "span" : "button", { className, text: sign });
        if (cell !== undefined) {
          button.type = "button";
          button.tabIndex = -1;
          button.dataset.cell = `${example} ${candidate}`;
          button.setAttribute("aria-label", `${table.candidates[candidate].label}: ${words}`);
        }
        row.append(make("td", {}, button));
      }
      body.append(row);
    }
    $("matrix").replaceChildren(make("thead", {}, head), body);
    const first = body.querySelector("button");
    if (first) first.tabIndex = 0;
    $("more").hidden = shown.length <= pages * PAGE;
    $("more").textContent = `Show ${Math.min(PAGE, shown.length - pages * PAGE)} more of ${shown.length}`;
  }
  function walk(event) {
    const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!step || event.target.tagName !== "BUTTON") return;
    event.preventDefault();
    const rows = [...$("matrix").tBodies[0].rows];
    let at = event.target.closest("td").cellIndex;
    let row = rows.indexOf(event.target.closest("tr"));
    for (;;) {
      at += step[0];
      row += step[1];
      const place = rows[row]?.cells[at];
      if (!place || at < 1) return;
      const button = place.querySelector("button");
      if (button) {
        event.target.tabIndex = -1;
        button.tabIndex = 0;
        button.focus();
        return;
      }
    }
  }
  if ($("matrix")) {
    const splits = [...new Set(table.examples.filter((_, i) => grid[i].size).map((example) => example.split))];
    $("split").append(...splits.map((split) => make("option", { text: split, value: split })));
    if (pair.length < 2) {
      for (const option of [...$("which").options].filter((one) => ["gained", "lost"].includes(one.value))) option.remove();
    } else if (table.cells.some(([, , score]) => score !== null && score !== top && score !== bottom)) {
      for (const option of $("which").options) { // scores between the ends: no longer just right and wrong
        if (option.value === "gained") option.textContent = "best scores higher than baseline";
        if (option.value === "lost") option.textContent = "best scores lower than baseline";
      }
    }
    for (const id of ["which", "split", "columns"]) {
      $(id).addEventListener("change", () => { pages = 1; drawTable(); });
    }
    $("more").addEventListener("click", () => { pages += 1; drawTable(); });
    $("matrix").addEventListener("keydown", walk);
    $("matrix").addEventListener("click", (event) => {
      const button = event.target.closest("button[data-cell]");
      if (button) openCell(...button.dataset.cell.split(" ").map(Number));
    });
    drawTable();
    $("filters").hidden = false;
    document.querySelector(".legend").hidden = false;
  }

  // -- the dialog: a cell, or what the optimizer asked -----------------------------------------------------------------
  const dialog = $("detail");
  let current = null;
  const block = (name, value) => make("div", {}, make("h3", { text: name }), make("div", { className: "block" }, make("pre", { text: told(value) })));

  function content(parts) {
    if (typeof parts === "string") return [make("pre", { text: parts })];
    return parts.map((part) => {
      if (part.type === "text") return make("pre", { text: part.text });
      if (/^data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+$/.test(part.url)) return make("img", { src: part.url, alt: "picture in the message" });
      return make("p", { className: "soft", text: `[picture] ${part.url}` });
    });
  }
  function turn(who, className, ...children) {
    return make("div", { className: `turn ${className}` }, make("div", { className: "soft", text: who }), ...children);
  }
  function transcript(call) {
    const parts = [make("h3", { text: `${call.role}: ${call.path}` })];
    for (const message of call.messages) {
      const tools = message.tools.map((tool) => make("pre", { text: `→ ${tool.name}(${tool.arguments})` }));
      parts.push(turn(message.role, "", ...content(message.content), ...tools));
    }
    for (const failure of call.failed) parts.push(turn("attempt failed", "", make("pre", { text: failure })));
    const facts = [call.model, `at most ${call.cap} tokens`, call.schema ? "JSON of a schema" : "", call.offered.length ? `tools: ${call.offered.join(", ")}` : ""];
    if (call.answer === null) {
      parts.push(make("p", { className: "soft", text: `No answer. ${facts.filter(Boolean).join(" · ")}` }));
      return parts;
    }
    const { text, tool_calls: tools, usage, finish, usd, cached, seconds } = call.answer;
    const tokens = usage.reported ? `${usage.input_tokens} tokens read, ${usage.output_tokens} written` : "tokens not reported";
    facts.push(tokens, usd === null ? "price unknown" : `${plain(usd, 6)} USD`, cached ? "from the cache" : `${plain(seconds, 2)} s`, `ended: ${finish}`);
    parts.push(turn("answer", "answer", make("pre", { text }), ...tools.map((tool) => make("pre", { text: `→ ${tool.name}(${tool.arguments})` })),
      make("div", { className: "soft", text: facts.filter(Boolean).join(" · ") })));
    return parts;
  }
  function repeatParts(repeat, many) {
    const name = repeat.split === "noise" ? "A/A repeat, for the noise only" : many ? `repeat ${repeat.repeat + 1}` : "";
    const parts = name ? [make("h2", { text: name })] : [];
    const score = repeat.feedback?.score ?? null;
    parts.push(make("div", { className: "pair" }, block("Output", repeat.output),
      block("Feedback", [score === null ? repeat.status : `score ${plain(score)}`, repeat.feedback?.text].filter(Boolean).join(": "))));
    if (repeat.feedback && Object.keys(repeat.feedback.parts).length) parts.push(block("Partial scores", repeat.feedback.parts));
    if (repeat.error) parts.push(block("Error", repeat.error));
    if (repeat.printed) parts.push(block("Printed by its code", repeat.printed));
    if (repeat.calls === null) parts.push(make("p", { className: "callout", text: "The transcript was left out to keep this page small; `agentopt show` has it." }));
    else if (!repeat.calls.length) parts.push(make("p", { className: "soft", text: "No model was called." }));
    else repeat.calls.forEach((call) => parts.push(...transcript(call)));
    const metrics = Object.entries(repeat.metrics).map(([key, value]) => `${key} ${plain(value)}`).join(" · ");
    if (metrics) parts.push(make("p", { className: "soft", text: metrics }));
    return parts;
  }
  function openDialog(title, parts) {
    $("detail-title").textContent = title;
    $("detail-body").replaceChildren(...parts);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }
  async function openCell(example, candidate) {
    current = [example, candidate];
    const { id, split } = table.examples[example];
    const title = `${table.candidates[candidate].label} on ${id.slice(0, 8)}, ${split}`;
    const at = shown.indexOf(example);
    $("previous").disabled = at <= 0;
    $("next").disabled = at < 0 || at >= shown.length - 1;
    $("previous").hidden = $("next").hidden = false;
    let found = null;
    try {
      found = await piece(`x${example}${candidate > 1 ? "b" : "a"}`);
    } catch (problem) {
      openDialog(title, [make("p", { className: "callout", text: `This browser cannot unpack the cell (${problem.name}); a newer one can.` })]);
      return;
    }
    if (current[0] !== example || current[1] !== candidate) return;
    const repeats = found?.cells.find(([one]) => one === candidate)?.[1];
    if (!repeats) {
      openDialog(title, [make("p", { className: "callout", text: "This cell was left out to keep the page small; `agentopt show` has it." })]);
      return;
    }
    const parts = [make("div", { className: "pair" }, block("Input", found.input), block("Target", found.target))];
    repeats.forEach((repeat) => parts.push(...repeatParts(repeat, repeats.length > 1)));
    openDialog(title, parts);
  }
  function go(by) {
    const next = shown[shown.indexOf(current[0]) + by];
    if (next !== undefined) openCell(next, current[1]);
  }
  $("previous").addEventListener("click", () => go(-1));
  $("next").addEventListener("click", () => go(1));
  $("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    if (current && event.key === "ArrowLeft") go(-1);
    if (current && event.key === "ArrowRight") go(1);
  });
  for (const button of document.querySelectorAll("[data-ask]")) {
    button.addEventListener("click", async () => {
      current = null;
      $("previous").hidden = $("next").hidden = true;
      const { calls } = await piece(`ask${button.dataset.ask}`);
      openDialog(`What the optimizer asked in step ${Number(button.dataset.ask) + 1}`, calls.flatMap(transcript));
    });
  }

  // -- printing opens what is closed -----------------------------------------------------------------------------------
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of opened) one.open = false; });
})();

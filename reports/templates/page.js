"use strict";

// Draws a page's figures from the data that lies in it, switches methods off and on in all of them, sorts tables, and
// gives the data as CSV. It asks nothing of any network.

(() => {
  const INK = "#222222", QUIET = "#777777", FAINT = "#bbbbbb", FAILURE = "#D55E00";
  const SYMBOLS = { o: "circle", s: "square", "^": "triangle-up", D: "diamond", v: "triangle-down", P: "cross", X: "x", "*": "star" };
  const OUTLINES = {
    o: "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0", s: "M-4,-4h8v8h-8z", "^": "M0,-5L5,4H-5z", D: "M0,-5L5,0L0,5L-5,0z",
    v: "M0,5L5,-4H-5z", P: "M-2,-5h4v3h3v4h-3v3h-4v-3h-3v-4h3z", X: "M-5,-3L-3,-5L0,-2L3,-5L5,-3L2,0L5,3L3,5L0,2L-3,5L-5,3L-2,0z",
    "*": "M0,-5.5L1.4,-1.8L5.3,-1.7L2.2,.7L3.3,4.5L0,2.3L-3.3,4.5L-2.2,.7L-5.3,-1.7L-1.4,-1.8z",
  };
  const PAPER = 680;
  let figures = [];
  const off = new Set();

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  // The plotting library takes a few signs for tags of its own; names must show as they are.
  const shown = (words) => String(words).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const translucent = (colour, share) =>
    colour + Math.round(255 * share).toString(16).padStart(2, "0");
  const number = (value) => (typeof value === "number" ? value : NaN);

  // Curves over time: steps with an interval, dotted until every seed has an incumbent

  function band(x, low, high) {
    const there = [], back = [];
    x.forEach((time, i) => {
      if (low[i] === null || high[i] === null) return;
      if (there.length) {
        there.push([time, there[there.length - 1][1]]);
        back.push([time, back[back.length - 1][1]]);
      }
      there.push([time, high[i]]);
      back.push([time, low[i]]);
    });
    return there.concat(back.reverse());
  }

  function curveTraces(figure, group) {
    const { unit, column } = figure.x, value = figure.y.column, data = group.columns;
    const x = data[column].map((time) => time / unit), y = data[value];
    const common = { legendgroup: group.name, method: group.name, hoverinfo: "skip", showlegend: false };
    const line = (from, to, dash, width) => ({
      ...common, type: "scatter", mode: "lines", x: x.slice(from, to), y: y.slice(from, to),
      line: { color: group.colour, shape: "hv", dash, width },
    });
    const traces = [];
    if (group.band && data.low) {
      const edge = band(x, data.low, data.high);
      traces.push({
        ...common, type: "scatter", mode: "lines", fill: "toself", fillcolor: translucent(group.colour, 0.15),
        line: { width: 0 }, x: edge.map((point) => point[0]), y: edge.map((point) => point[1]),
      });
    }
    if (group.own) traces.push(line(0, group.own + 1, "dot", 1.6));
    traces.push({
      ...line(group.own, y.length, group.dash, 2.2), hoverinfo: undefined, name: shown(group.name),
      hovertemplate: `${shown(group.name)}: %{y:.5g}<extra></extra>`,
    });
    traces.push({
      ...common, type: "scatter", mode: "markers", cliponaxis: false, x: x.slice(-1), y: y.slice(-1),
      marker: { color: group.colour, symbol: SYMBOLS[group.marker], size: 8 },
    });
    return traces;
  }

  function references(figure) {
    const traces = [], shapes = [];
    for (const known of figure.references) {
      if (known.kind === "law") {
        traces.push({
          type: "scatter", mode: "lines", showlegend: false, name: known.name,
          x: known.columns[figure.x.column].map((time) => time / figure.x.unit), y: known.columns[figure.y.column],
          line: { color: QUIET, dash: "6px,3px", width: 1.5 }, hovertemplate: `${known.name}: %{y:.5g}<extra></extra>`,
        });
      } else if (known.kind === "line") {
        const across = known.axis === "y" ? { xref: "paper", x0: 0, x1: 1, y0: known.value, y1: known.value }
          : { yref: "paper", y0: 0, y1: 1, x0: known.value, x1: known.value };
        shapes.push({ type: "line", ...across, layer: "below", line: { color: FAINT, width: 1.6 } });
      } else {
        shapes.push({ type: "rect", xref: "paper", x0: 0, x1: 1, y0: known.ends[0], y1: known.ends[1], layer: "below",
          line: { width: 0 }, fillcolor: translucent(FAINT, 0.3) });
      }
    }
    return { traces, shapes };
  }

  function drawCurves(figure, place) {
    const known = references(figure);
    const traces = [...known.traces, ...figure.groups.flatMap((group) => curveTraces(figure, group))];
    const layout = frame(figure.x, figure.y, 420);
    layout.shapes = known.shapes;
    layout.hovermode = "x unified";
    return plot(place, traces, layout);
  }

  // A point per study, with a line to what it lost by tuning on

  function drawPoints(figure, place) {
    const traces = figure.groups.flatMap((group) => {
      const { final, final_test: test, overtuned, seed } = group.columns;
      const common = { type: "scatter", method: group.name, showlegend: false };
      const past = final.map((_, i) => i).filter((i) => overtuned[i] > 0);
      return [
        { ...common, mode: "lines", hoverinfo: "skip", line: { color: translucent(group.colour, 0.6), width: 1 },
          x: past.flatMap((i) => [final[i], final[i], null]), y: past.flatMap((i) => [test[i] - overtuned[i], test[i], null]) },
        { ...common, mode: "markers", x: final, y: test, text: seed.map((one) => `${shown(group.name)}, seed ${one}`),
          marker: { color: translucent(group.colour, 0.75), symbol: SYMBOLS[group.marker], size: 8 },
          hovertemplate: "%{text}: %{x:.5g}, on test %{y:.5g}<extra></extra>" },
      ];
    });
    const layout = frame(figure.x, figure.y, 420);
    layout.shapes = references(figure).shapes;
    layout.hovermode = "closest";
    return plot(place, traces, layout);
  }

  // A study's trials: each a line, shaded by how far it was trained in the end

  const classOf = (figure, level) => figure.classes.findIndex((one) => level <= one.last);

  function lines(figure, panel) {
    const { job, trial, level, time, loss } = panel.columns, reached = {};
    trial.forEach((one, i) => { reached[one] = Math.max(reached[one] ?? 0, level[i]); });
    const drawn = figure.classes.map(() => ({ x: [], y: [], text: [], size: [] }));
    job.forEach((one, i) => {
      if (!Number.isFinite(number(loss[i]))) return;
      const to = drawn[classOf(figure, reached[trial[i]])];
      const alone = one !== job[i - 1] && one !== job[i + 1];
      if (to.last !== undefined && to.last !== one) for (const column of [to.x, to.y, to.text, to.size]) column.push(null);
      to.last = one;
      to.x.push(time[i] / figure.x.unit);
      to.y.push(loss[i]);
      to.text.push(`trial ${trial[i]}, ${shown(figure.level)} ${level[i]}: ${loss[i]}`);
      to.size.push(alone ? 3 : 0);
    });
    return drawn;
  }

  function drawTrials(figure, place) {
    place.classList.add("panels");
    place.classList.toggle("pair", figure.panels.length > 1);
    return figure.panels.map((panel) => {
      const box = element("div", { class: "panel" });
      const head = element("p", { class: "head" }, element("strong", {}, panel.name), ` ${panel.note}`);
      if (figure.panels.length > 1 || panel.note) box.append(head);
      const inner = element("div", { class: "inner" });
      box.append(inner);
      if (panel.thinned) box.append(element("p", { class: "fine" }, panel.thinned));
      place.append(box);
      const traces = lines(figure, panel).map(({ x, y, text, size }, i) => ({
        type: "scatter", mode: "lines+markers", x, y, text, hovertemplate: "%{text}<extra></extra>", showlegend: false,
        line: { color: figure.classes[i].colour, width: 1.2 },
        marker: { size, color: figure.classes[i].colour, opacity: 1, line: { width: 0 } },
      }));
      const { end, loss, reason } = panel.marks, top = figure.y.range[1];
      for (const [how, symbol, colour] of [["stopped", "line-ns-open", INK], ["failed", "x-thin-open", FAILURE]]) {
        const some = reason.map((_, i) => i).filter((i) => reason[i] === how);
        traces.push({
          type: "scatter", mode: "markers", cliponaxis: false, hoverinfo: "skip", showlegend: false,
          x: some.map((i) => end[i] / figure.x.unit),
          y: some.map((i) => (Number.isFinite(number(loss[i])) ? Math.min(loss[i], top) : top)),
          marker: { symbol, size: 7, color: colour, line: { width: 1.2, color: colour } },
        });
      }
      const layout = frame(figure.x, figure.y, 300);
      layout.hovermode = "closest";
      const made = plot(inner, traces, layout);
      made.method = figure.panels.length > 1 ? panel.name : undefined;
      made.box = box;
      return made;
    });
  }

  // What each worker did when

  function drawWorkers(figure, place) {
    const { trial, worker, start, end, level, loss, reason } = figure.columns, unit = figure.x.unit;
    const traces = figure.classes.map((one, i) => {
      const some = trial.map((_, job) => job).filter((job) => classOf(figure, level[job]) === i);
      return {
        type: "bar", orientation: "h", showlegend: false, marker: { color: one.colour, line: { color: "#fff", width: 0.5 } },
        y: some.map((job) => worker[job]), base: some.map((job) => start[job] / unit), width: 0.8,
        x: some.map((job) => (end[job] - start[job]) / unit),
        text: some.map((job) => `trial ${trial[job]}, to ${shown(figure.level)} ${level[job]}, loss ${loss[job] ?? "none"}; ${reason[job] || "no end"}`),
        textposition: "none", hovertemplate: "%{text}<extra></extra>",
      };
    });
    const most = Math.max(0, ...worker);
    const layout = frame(figure.x, { title: "worker", range: [most + 0.5, -0.5] }, Math.min(640, 110 + 34 * (most + 1)));
    Object.assign(layout, { barmode: "overlay", hovermode: "closest", bargap: 0.1 });
    Object.assign(layout.yaxis, { dtick: Math.ceil((most + 1) / 16), zeroline: false, showgrid: false });
    return plot(place, traces, layout);
  }

  // What all figures share

  function axis(of) {
    const { title, log, range, unit = 1 } = of;
    const ends = range && range.map((end) => (log ? Math.log10(end / unit) : end / unit));
    return {
      title: { text: shown(title), font: { size: 13 }, standoff: 8 }, type: log ? "log" : "linear", range: ends,
      color: INK, linecolor: QUIET, tickcolor: QUIET, showline: true, ticks: "outside", ticklen: 4, zeroline: false,
      gridcolor: "#eef0f2", automargin: true, exponentformat: "power", dtick: undefined, fixedrange: coarse,
      ...(log ? { minor: { ticks: "" }, tickvals: decades(ends), ticktext: decades(ends).map((tick) => `${tick}`) } : {}),
    };
  }

  function decades([low, high]) {
    const ticks = [];
    for (let power = Math.floor(low); power <= Math.ceil(high); power++) {
      for (const digit of [1, 2, 5]) {
        const tick = Number(`${digit}e${power}`);
        if (Math.log10(tick) >= low - 1e-9 && Math.log10(tick) <= high + 1e-9) ticks.push(tick);
      }
    }
    return high - low > 2.5 ? ticks.filter((tick) => /^1/.test(tick.toExponential())) : ticks;
  }

  const coarse = window.matchMedia("(pointer: coarse)").matches;

  function frame(x, y, height) {
    return {
      height, margin: { l: 56, r: 14, t: 10, b: 44 }, paper_bgcolor: "#fff", plot_bgcolor: "#fff", showlegend: false,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: INK },
      xaxis: axis(x), yaxis: axis(y), dragmode: coarse ? false : "zoom",
      hoverlabel: { bgcolor: "#fff", bordercolor: FAINT, font: { color: INK } },
    };
  }

  function plot(place, traces, layout) {
    Plotly.newPlot(place, traces, layout, { displayModeBar: false, responsive: true, doubleClick: "reset" });
    return { place, traces };
  }

  const DRAW = { curves: drawCurves, points: drawPoints, trials: drawTrials, workers: drawWorkers };

  // Switches: one per method, the same in all figures of the page

  function mark(group) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "-12 -6 24 12");
    svg.setAttribute("class", "mark");
    const draw = (d, more) => {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      for (const [key, value] of Object.entries({ d, ...more })) path.setAttribute(key, value);
      svg.append(path);
    };
    const dashes = { dash: "4 2", dot: "2 2" }[group.dash] ?? "none";
    if (group.marker) draw("M-12,0H12", { stroke: group.colour, "stroke-width": 2, "stroke-dasharray": dashes });
    draw(group.marker ? OUTLINES[group.marker] : "M-12,-5H12V5H-12z", { fill: group.colour });
    return svg;
  }

  function reference(known) {
    const look = { law: `dashed`, line: `solid`, strip: `strip` }[known.kind];
    return element("span", { class: "reference" }, element("span", { class: `sample ${look}` }), known.name);
  }

  function switches(figure, place, looks) {
    const methods = figure.groups ?? (figure.panels?.length > 1 ? figure.panels : []);
    for (const group of methods) {
      const button = element("button", { type: "button", "aria-pressed": "true", title: "show or hide in all figures" });
      button.dataset.method = group.name;
      button.append(...(looks[group.name] ? [mark(looks[group.name])] : []), element("span", {}, group.name));
      if (figure.groups) button.append(element("small", {}, group.note));
      button.addEventListener("click", () => {
        if (!off.delete(group.name)) off.add(group.name);
        update();
      });
      place.append(button);
    }
    for (const known of figure.references ?? []) place.append(reference(known));
    if (figure.classes) {
      place.append(element("span", { class: "reference" }, `${figure.level} reached in the end`));
      for (const one of figure.classes) place.append(element("span", { class: "reference" }, mark(one), one.name));
    }
    if (!place.children.length) place.remove();
  }

  const plots = [];

  function update() {
    for (const button of document.querySelectorAll("button[data-method]")) {
      button.setAttribute("aria-pressed", String(!off.has(button.dataset.method)));
    }
    for (const made of plots) {
      if (made.box) made.box.hidden = made.method !== undefined && off.has(made.method);
      const wanted = made.traces.map((trace) => !off.has(trace.method));
      if (made.traces.some((trace) => trace.method !== undefined)) Plotly.restyle(made.place, { visible: wanted });
    }
  }

  // The data as CSV

  const quoted = (cell) => {
    const plain = cell === null || cell === undefined ? "" : String(cell);
    // A spreadsheet would take such a text for a formula.
    const words = typeof cell === "string" && /^[=+\-@\t\r]/.test(cell) ? `'${plain}` : plain;
    return /[",\n\r]/.test(words) ? `"${words.replace(/"/g, '""')}"` : words;
  };

  function csv(figure) {
    const parts = figure.columns ? [{ columns: figure.columns }] : figure.groups ?? figure.panels;
    const named = parts.concat((figure.references ?? []).filter((known) => known.columns));
    const heads = [...new Set(named.flatMap((part) => Object.keys(part.columns)))];
    const rows = named.flatMap((part) => {
      const length = Math.max(0, ...Object.values(part.columns).map((column) => column.length));
      return Array.from({ length }, (_, i) => [...(figure.columns ? [] : [part.name]), ...heads.map((head) => part.columns[head]?.[i])]);
    });
    const first = [...(figure.columns ? [] : ["method"]), ...heads];
    return [first, ...rows].map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n";
  }

  // Tables that sort by a click on a head

  const UNITS = { s: 1, min: 60, h: 3600, d: 86400 };

  function key(cell) {
    const words = cell.textContent.trim();
    const found = words.match(/^[<×]?\s*([-−]?[\d.]+(?:e[-+]?\d+)?)(?:\s(s|min|h|d)\b)?/i);
    return found ? Number(found[1].replace("−", "-")) * (UNITS[found[2]] ?? 1) : words;
  }

  function order(one, other) {
    const kinds = [one, other].map((value) => (value === "–" || value === "" ? 2 : typeof value === "number" ? 0 : 1));
    if (kinds[0] !== kinds[1]) return kinds[0] - kinds[1];
    return kinds[0] === 0 ? one - other : String(one).localeCompare(String(other), "en");
  }

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    if (body.rows.length < 2) return;
    heads.forEach((head, place) => {
      const button = element("button", { type: "button" }, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const falling = head.getAttribute("aria-sort") === "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", falling ? "descending" : "ascending");
        const rows = [...body.rows].map((row) => [key(row.cells[place]), row]);
        rows.sort((one, other) => {
          const missing = [one[0], other[0]].some((value) => value === "–" || value === "");
          return (falling && !missing ? -1 : 1) * order(one[0], other[0]);
        });
        body.append(...rows.map((row) => row[1]));
      });
    });
  }

  // A study's jobs as a table

  function fill(table) {
    const figure = figures.find((one) => one.name === table.dataset.of), unit = figure.x.unit;
    const names = [...table.tHead.rows[0].cells].map((head) => head.textContent);
    figure.columns.trial.forEach((_, i) => {
      const cell = (name) => {
        const value = figure.columns[name][i];
        return value === null ? "–" : name === "start" || name === "end" ? (value / unit).toPrecision(4) : value;
      };
      table.tBodies[0].append(element("tr", {}, ...names.map((name) => element("td", {}, String(cell(name))))));
    });
  }

  async function unpacked(words) {
    const bytes = Uint8Array.from(atob(words), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  async function begin() {
    document.querySelectorAll("table:not([data-of])").forEach(sortable);
    const data = document.getElementById("data");
    if (data) ({ figures } = await unpacked(data.textContent));
    const looks = Object.fromEntries(figures.flatMap((figure) => figure.groups ?? []).map((group) => [group.name, group]));
    for (const figure of figures) {
      const place = document.querySelector(`figure[data-figure="${CSS.escape(figure.name)}"]`);
      switches(figure, place.querySelector(".switches"), looks);
      plots.push(DRAW[figure.kind](figure, place.querySelector(".plot")));
      const link = place.querySelector("a.csv");
      link.download = `${figure.name}.csv`;
      link.addEventListener("click", () => { link.href = URL.createObjectURL(new Blob([csv(figure)], { type: "text/csv" })); });
    }
    plots.splice(0, plots.length, ...plots.flat());
    for (const table of document.querySelectorAll("table[data-of]")) {
      fill(table);
      sortable(table);
    }
    window.addEventListener("beforeprint", () => { for (const made of plots) fit(made, true); });
    window.addEventListener("afterprint", () => { for (const made of plots) fit(made, false); });
    document.body.dataset.drawn = "yes";
  }

  function fit(made, paper) {
    const half = made.place.closest(".pair") ? PAPER / 2 - 8 : PAPER;
    Plotly.relayout(made.place, paper ? { width: half, autosize: false } : { width: undefined, autosize: true });
  }

  begin().catch((error) => {
    const said = `The figures of this page cannot be drawn here (${error.message}). "report --static" writes it with pictures.`;
    document.body.prepend(element("p", { class: "verdict", role: "alert" }, said));
    throw error;
  });
})();

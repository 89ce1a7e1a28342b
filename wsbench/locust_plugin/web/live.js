"use strict";
// Requests an update once a second and shows it. Strings from servers and users (close reasons, error texts, URLs) are
// inserted as text only.
(() => {
  const EVERY_MS = 1000;
  const KEPT_POINTS = 600;
  const PHASES = { ramp: "ramp", warmup: "warm-up", measure: "measure", drain: "drain" };
  const NAMES = { response: "response", service: "service", send_lag: "send lag", read_lag: "read lag" };
  const STYLES = {
    response: ["--a", "solid"], service: ["--b", "dash"], send_lag: ["--c", "dot"], read_lag: ["--d", "dashdot"],
  };

  // Series that a scenario named: each keeps the style that it got first.
  const OTHER_STYLES = ["--a", "--b", "--c", "--d"].flatMap((hue) => ["dash", "dot", "dashdot"].map((dash) => [hue, dash]));
  const otherNames = [];
  const labelOf = (name) => NAMES[name] ?? name;

  function styleOf(name) {
    if (STYLES[name]) return STYLES[name];
    if (!otherNames.includes(name)) otherNames.push(name);
    return OTHER_STYLES[otherNames.indexOf(name) % OTHER_STYLES.length];
  }
  const PERCENTS = ["p50", "p90", "p99", "p99.9", "p99.99"];
  const VERDICTS = {
    ok: ["good", "The generator kept up: the figures describe the server."],
    late: ["warn", "The generator was late: response times include delays of the generator. Service times are not affected."],
    saturated: ["bad", "The generator was at its limit: throughput, and all figures that depend on it, describe the generator."],
  };
  const byId = (id) => document.getElementById(id);
  let run = null;
  let since = 0;
  let points = new Map();

  // -- text ------------------------------------------------------------------------------------------------------

  function threeDigits(value) {
    if (value >= 99.95) return Math.round(value).toLocaleString("en");
    return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
  }

  function duration(ns) {
    if (ns === null || ns === undefined) return "–";
    for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]]) {
      if (ns >= size * 0.9995) return `${threeDigits(ns / size)} ${unit}`;
    }
    return `${ns} ns`;
  }

  const count = (value) => (value === null || value === undefined ? "–" : Math.round(value).toLocaleString("en"));
  const megabytes = (bytes) => `${threeDigits(bytes / 1e6)} MB`;
  const percent = (value) => `${value.toFixed(0)} %`;

  function element(tag, text = "", className = "") {
    const node = document.createElement(tag);
    node.textContent = text;
    if (className) node.className = className;
    return node;
  }

  function setText(id, text) {
    if (byId(id).textContent !== text) byId(id).textContent = text;
  }

  function facts(id, rows) {
    byId(id).replaceChildren(...rows.map(([name, value]) => {
      const row = element("tr");
      const head = element("th", name);
      head.scope = "row";
      row.append(head, element("td", value));
      return row;
    }));
  }

  function table(id, heads, rows) {
    const top = element("tr");
    top.append(...heads.map((text) => Object.assign(element("th", text), { scope: "col" })));
    const head = element("thead");
    head.append(top);
    const body = element("tbody");
    for (const [name, ...cells] of rows) {
      const row = element("tr");
      row.append(Object.assign(element("th", name), { scope: "row" }), ...cells.map((cell) => element("td", cell)));
      body.append(row);
    }
    byId(id).replaceChildren(head, body);
  }

  // -- parts of the page -----------------------------------------------------------------------------------------

  function showRun(update) {
    setText("url", update.run.url);
    setText("asked", update.run.asked);
    const over = { done: "over", failed: "failed" }[update.state];
    setText("phase", over ?? PHASES[update.phase]);
    const left = update.left_ns === null || over ? "" : `${Math.ceil(update.left_ns / 1e9)} s left`;
    setText("left", over ? "" : left || (update.phase === "measure" ? "until stopped" : ""));
    byId("stop").hidden = Boolean(over) || update.phase === "drain";
    setText("trouble", update.failure ?? "");
  }

  function showOutcome(outcome) {
    const kind = outcome.kind || (outcome.reasons.length > 0 ? "warn" : "good");
    byId("outcome").hidden = false;
    byId("outcome").className = `verdict ${kind}`;
    const nothing = outcome.kind ? "" : ": nothing went wrong";
    setText("result", outcome.result.replace("-", " ") + (outcome.reasons.length > 0 ? "" : nothing));
    byId("reasons").replaceChildren(...outcome.reasons.map((reason) => element("li", reason.evidence)));
  }

  function showVerdict(verdict) {
    const section = byId("verdict");
    section.hidden = verdict === null;
    if (verdict === null) return;
    const [className, meaning] = VERDICTS[verdict.verdict];
    section.className = `verdict ${className === "good" ? "" : className}`;
    setText("word", `generator ${verdict.verdict}${verdict.final ? "" : " so far"}: ${meaning}`);
    byId("findings").replaceChildren(...verdict.findings.map((finding) => {
      const item = element("li");
      item.append(element("b", `${finding.code}: `), finding.evidence, element("p", finding.remedy, "faint"));
      return item;
    }));
  }

  function showGates(gates, over) {
    const failed = gates.filter((gate) => gate.failed).length;
    byId("gates-of-run").hidden = gates.length === 0;
    byId("gates-of-run").className = `verdict ${failed > 0 ? "bad" : "good"}`;
    setText("gates-word", `${failed} of ${gates.length} gates ${over ? "failed" : "would fail now"}`);
    byId("gates").replaceChildren(...gates.map((gate) => {
      const item = element("li");
      item.append(element("b", gate.failed ? "FAILED " : ""), `${gate.expression}: ${gate.value}`);
      return item;
    }));
  }

  // Figures of the last second during the run, of the measure phase after it.
  function headline(update) {
    const of = (name, key, index) => (update.throughput ? update.series[name]?.[key] : update.latest?.[name]?.[index]);
    const lag = (name) => (update.throughput ? update.series[name]?.p99_ns : update.latest?.[`${name}_p99_ns`]);
    return { ...(update.throughput ?? update.latest), of, lag };
  }

  function showTiles(update) {
    const { sent_per_s: sent, received_per_s: received, of, lag } = headline(update);
    const lost = update.messages.lost + update.messages.missed;
    const tiles = [
      ["connections open", count(update.connections.open)],
      ["messages/s sent", count(sent)],
      ["messages/s received", count(received)],
      ...(update.throughput ? [] : [["messages/s lost", count(update.latest?.lost_per_s)]]),
      ["messages lost in total", count(lost)],
      ["response p50", duration(of("response", "p50_ns", 0))],
      ["response p99", duration(of("response", "p99_ns", 2))],
      ["service p50", duration(of("service", "p50_ns", 0))],
      ["service p99", duration(of("service", "p99_ns", 2))],
      ...(update.closed_loop ? [] : [["send lag p99", duration(lag("send_lag"))]]),
      ["read lag p99", duration(lag("read_lag"))],
    ];
    byId("tiles").replaceChildren(...tiles.map(([name, value]) => {
      const tile = element("div", "", "tile");
      tile.append(element("b", value), element("span", name));
      return tile;
    }));
  }

  function showTables(update) {
    const shown = Object.entries(update.series).filter(([name]) => !(update.closed_loop && name === "send_lag"));
    byId("latency").hidden = shown.length === 0;
    const over = update.state === "done" ? "" : " so far";
    setText("latency-how", `Over the ${PHASES[update.phase_shown]} phase${over}; percentiles count lost messages as slower than all others.`);
    table("latencies", ["", ...PERCENTS, "max", "replies", "lost"], shown.map(([name, of]) => [
      labelOf(name), ...PERCENTS.map((p) => duration(of[`${p}_ns`])), duration(of.max_ns), count(of.count), count(of.lost),
    ]));
    const { close_codes: codes, peers, ...connections } = update.connections;
    facts("connections", [
      ...Object.entries(connections).map(([name, value]) => [name, count(value)]),
      ...Object.entries(peers).map(([peer, value]) => [`opened to ${peer}`, count(value)]),
      ...Object.entries(codes).map(([code, value]) => [`closed with ${code}`, count(value)]),
    ]);
    byId("counters-of-run").hidden = Object.keys(update.counters).length === 0;
    facts("counters", Object.entries(update.counters).map(([name, value]) => [name, count(value)]));
    facts("messages", Object.entries(update.messages).map(([name, value]) => [name, count(value)]));
    facts("negotiated", Object.entries(update.negotiated).map(([name, value]) => [
      name.replace("_", " ").replace("tls", "TLS"), value ?? "none",
    ]));
    table("workers", ["worker", "CPU", "mean", "maximum", "of it polling", "memory", "replies"], update.workers.map((worker) => [
      `${worker.index}`, percent(worker.cpu_percent), percent(worker.cpu_percent_mean), percent(worker.cpu_percent_max),
      percent(worker.polling_percent), megabytes(worker.rss_bytes), count(worker.messages),
    ]));
    byId("facts").hidden = false;
    byId("errors-of-run").hidden = update.errors.length + update.examples.length === 0;
    const item = (text, below) => {
      const shown = element("li", text);
      if (below) shown.append(element("p", below, "faint"));
      return shown;
    };
    byId("errors").replaceChildren(
      ...update.errors.map((error) => item(`${count(error.count)} × ${error.example} [${error.side}]`, error.remedy)),
      ...update.examples.map(({ kind, name, difference, received }) => (
        item(`${kind}${name && ` ${name}`}, the first: ${difference}`, `received '${received}'`)
      )),
    );
  }

  let resultsShown = "";
  function showResults(results) {
    if (JSON.stringify(results) === resultsShown) return;
    resultsShown = JSON.stringify(results);
    byId("results").replaceChildren(...results.map((result) => {
      const item = element("div", "", "result");
      const files = element("ul");
      files.append(...result.files.map((name) => {
        const link = element("a", name);
        link.href = `results/${encodeURIComponent(result.id)}/${encodeURIComponent(name)}`;
        if (name === "report.html") link.target = "_blank";
        const entry = element("li");
        entry.append(link);
        return entry;
      }));
      item.append(element("b", result.id), files);
      return item;
    }));
  }

  // -- charts ----------------------------------------------------------------------------------------------------

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function axis(options) {
    return {
      gridcolor: colour("--grid"), linecolor: colour("--line"), zeroline: false, showline: true, automargin: true, ...options,
    };
  }

  function draw(id, data, xaxis, yaxis) {
    const layout = {
      margin: { l: 52, r: 12, t: 8, b: 36 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: colour("--ink") },
      hovermode: "x unified",
      hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
      showlegend: true,
      legend: { orientation: "h", x: 0, y: 1.02, xanchor: "left", yanchor: "bottom" },
      xaxis: axis(xaxis),
      yaxis: axis(yaxis),
      uirevision: id,  // keeps the zoom across updates
    };
    Plotly.react(byId(id), data, layout, { displayModeBar: false, responsive: true });
  }

  function line(name, x, y, colourName, dash = "solid", more = {}) {
    const options = { hovertemplate: "%{y:.3s}s", ...more };
    return { type: "scatter", mode: "lines", name, x, y, line: { color: colour(colourName), width: 2, dash }, ...options };
  }

  const inSeconds = (ns) => (ns === null || ns === 0 ? null : ns / 1e9);

  // Ticks with units at every decade; with few decades in sight, at 1, 2 and 5 of each.
  function secondsAxis(lines) {
    const values = lines.flatMap((each) => each.y).filter((value) => value !== null);
    if (!values.length) return { type: "log" };
    const low = Math.log10(Math.min(...values)) - 0.1;
    const high = Math.log10(Math.max(...values)) + 0.1;
    const steps = high - low > 3.5 ? [1] : [1, 2, 5];
    const ticks = [];
    for (let power = Math.floor(low); power <= high; power += 1) {
      ticks.push(...steps.map((step) => step * 10 ** power));
    }
    return {
      type: "log", range: [low, high], tickvals: ticks,
      ticktext: ticks.map((tick) => duration(tick * 1e9).replace(/\.0+ /, " ")),
    };
  }

  function drawLatencies(id, lines, xaxis) {
    draw(id, lines, xaxis, secondsAxis(lines));
  }

  function drawCharts(update) {
    const seconds = [...points.values()].sort((a, b) => a.start_ns - b.start_ns);
    byId("charts").hidden = seconds.length === 0;
    if (!seconds.length) return;
    const begin = seconds[0].start_ns;
    const x = seconds.map((point) => (point.start_ns - begin) / 1e9);
    const time = { title: { text: "seconds", standoff: 4 }, ticksuffix: "", hoverformat: ".0f" };
    for (const id of ["response", "service"]) {
      const parts = [["p50", "--p50"], ["p90", "--b"], ["p99", "--p99"], ["max", "--h"]];
      drawLatencies(id, parts.map(([name, colourName], index) =>
        line(name, x, seconds.map((point) => inSeconds(point[id][index])), colourName, name === "max" ? "dot" : "solid"),
      ), time);
    }
    draw("rates", [["sent", "--a", "sent_per_s", "dash"], ["received", "--b", "received_per_s"], ["lost", "--bad", "lost_per_s"], ["errors", "--c", "errors_per_s", "dot"]].map(
      ([name, colourName, key, dash]) =>
        line(name, x, seconds.map((point) => point[key]), colourName, dash, { hovertemplate: "%{y:,.0f}/s" }),
    ), time, { rangemode: "tozero", tickformat: "~s", ticksuffix: "/s" });
    draw("connected", [
      line("open", x, seconds.map((point) => point.connections), "--b", "solid", { hovertemplate: "%{y:,.0f}" }),
      line("wanted", x, seconds.map((point) => point.wanted), "--faint", "dot", {
        hovertemplate: "%{y:,.0f}", fill: "tonexty", fillcolor: colour("--gap"),
      }),
    ], time, { rangemode: "tozero", tickformat: "~s", ticksuffix: "" });
    const lags = update.closed_loop ? ["read_lag"] : ["send_lag", "read_lag"];
    drawLatencies("lags", lags.map((name) =>
      line(NAMES[name], x, seconds.map((point) => inSeconds(point[`${name}_p99_ns`])), ...STYLES[name]),
    ), time);
    const nines = Array.from({ length: 8 }, (_, power) => 10 ** power);
    drawLatencies("curve", Object.entries(update.series)
      .filter(([name]) => !(update.closed_loop && name === "send_lag"))
      .map(([name, of]) => line(labelOf(name), of.curve[0], of.curve[1].map(inSeconds), ...styleOf(name))),
    {
      type: "log", tickvals: nines, ticktext: ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %", "99.99999 %"],
      title: { text: "percentile", standoff: 4 }, hoverformat: ",.1f",
    });
    setText("curve-phase", `${PHASES[update.phase_shown]} phase${update.state === "running" ? " so far" : ""}`);
  }

  // -- updates ---------------------------------------------------------------------------------------------------

  function show(update) {
    showResults(update.results);
    if (update.state === "waiting") return;
    if (update.run.id !== run) {
      run = update.run.id;
      points = new Map();
    }
    since = update.version;
    for (const point of update.points) points.set(`${point.phase} ${point.start_ns}`, point);
    for (const key of points.keys()) {
      if (points.size <= KEPT_POINTS) break;
      points.delete(key);
    }
    showRun(update);
    if (update.outcome) showOutcome(update.outcome);
    showVerdict(update.verdict);
    showGates(update.gates, update.state === "done");
    showTiles(update);
    showTables(update);
    drawCharts(update);
  }

  let latest = null;
  async function poll() {
    try {
      const answer = await fetch(`live?run=${encodeURIComponent(run ?? "")}&since=${since}`, { cache: "no-store" });
      if (!answer.ok || answer.redirected) throw new Error(`Locust answers ${answer.status}: log in to Locust again`);
      latest = await answer.json();
      setText("trouble", "");
      if (!document.hidden) show(latest);
      document.documentElement.dataset.version = `${since}`;
    } catch (error) {
      setText("trouble", error instanceof TypeError ? "Locust does not answer: it has probably ended" : error.message);
    }
    setTimeout(poll, EVERY_MS);
  }

  byId("stop").addEventListener("click", async () => {
    byId("stop").disabled = true;
    try {
      await fetch("../stop", { method: "POST" });
    } finally {
      byId("stop").disabled = false;
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => latest && show(latest));
  poll();
})();

"use strict";
// Asks for news once a second and shows it. Whatever comes from elsewhere (a server's reasons, error texts, URLs) only
// ever becomes text.
(() => {
  const EVERY_MS = 1000;
  const KEPT_POINTS = 600;
  const PHASES = { ramp: "ramp", warmup: "warm-up", measure: "measure", drain: "drain" };
  const NAMES = { response: "response", service: "service", send_lag: "send lag", read_lag: "read lag" };
  const STYLES = {
    response: ["--a", "solid"], service: ["--b", "dash"], send_lag: ["--c", "dot"], read_lag: ["--d", "dashdot"],
  };

  // A scenario names series of its own: each keeps the look that it got first.
  const OWN_LOOKS = ["--a", "--b", "--c", "--d"].flatMap((hue) => ["dash", "dot", "dashdot"].map((dash) => [hue, dash]));
  const ownNames = [];
  const called = (name) => NAMES[name] ?? name;

  function styleOf(name) {
    if (STYLES[name]) return STYLES[name];
    if (!ownNames.includes(name)) ownNames.push(name);
    return OWN_LOOKS[ownNames.indexOf(name) % OWN_LOOKS.length];
  }
  const PERCENTS = ["p50", "p90", "p99", "p99.9", "p99.99"];
  const VERDICTS = {
    ok: ["good", "The generator kept up: the figures are the server's."],
    late: ["warn", "The generator was late: response times hold delays of its own. Service times are not affected."],
    saturated: ["bad", "The generator was at its limit: throughput, and all that hangs on it, is its own."],
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
    const made = document.createElement(tag);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function say(id, text) {
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

  function showRun(news) {
    say("url", news.run.url);
    say("asked", news.run.asked);
    const over = { done: "over", failed: "failed" }[news.state];
    say("phase", over ?? PHASES[news.phase]);
    const left = news.left_ns === null || over ? "" : `${Math.ceil(news.left_ns / 1e9)} s left`;
    say("left", over ? "" : left || (news.phase === "measure" ? "until it is stopped" : ""));
    byId("stop").hidden = Boolean(over) || news.phase === "drain";
    say("trouble", news.failure ?? "");
  }

  function showVerdict(verdict) {
    const section = byId("verdict");
    section.hidden = verdict === null;
    if (verdict === null) return;
    const [className, meaning] = VERDICTS[verdict.verdict];
    section.className = `verdict ${className}`;
    say("word", `${verdict.verdict}${verdict.final ? "" : " so far"}: ${meaning}`);
    byId("findings").replaceChildren(...verdict.findings.map((finding) => {
      const item = element("li");
      item.append(element("b", `${finding.code}: `), finding.evidence, element("p", finding.remedy, "faint"));
      return item;
    }));
  }

  // While it runs, of the last second; then, of the measure phase.
  function headline(news) {
    const of = (name, key, index) => (news.throughput ? news.series[name]?.[key] : news.latest?.[name]?.[index]);
    const lag = (name) => (news.throughput ? news.series[name]?.p99_ns : news.latest?.[`${name}_p99_ns`]);
    return { ...(news.throughput ?? news.latest), of, lag };
  }

  function showTiles(news) {
    const { sent_per_s: sent, received_per_s: received, of, lag } = headline(news);
    const lost = news.messages.lost + news.messages.missed;
    const tiles = [
      ["connections open", count(news.connections.open)],
      ["messages/s sent", count(sent)],
      ["messages/s received", count(received)],
      ...(news.throughput ? [] : [["messages/s lost", count(news.latest?.lost_per_s)]]),
      ["messages lost in all", count(lost)],
      ["response p50", duration(of("response", "p50_ns", 0))],
      ["response p99", duration(of("response", "p99_ns", 2))],
      ["service p50", duration(of("service", "p50_ns", 0))],
      ["service p99", duration(of("service", "p99_ns", 2))],
      ...(news.closed_loop ? [] : [["send lag p99", duration(lag("send_lag"))]]),
      ["read lag p99", duration(lag("read_lag"))],
    ];
    byId("tiles").replaceChildren(...tiles.map(([name, value]) => {
      const tile = element("div", "", "tile");
      tile.append(element("b", value), element("span", name));
      return tile;
    }));
  }

  function showTables(news) {
    const shown = Object.entries(news.series).filter(([name]) => !(news.closed_loop && name === "send_lag"));
    byId("latency").hidden = shown.length === 0;
    const over = news.state === "done" ? "" : " so far";
    say("latency-how", `Over the ${PHASES[news.phase_shown]} phase${over}; percentiles count lost messages as the slowest.`);
    table("latencies", ["", ...PERCENTS, "max", "replies", "lost"], shown.map(([name, of]) => [
      called(name), ...PERCENTS.map((p) => duration(of[`${p}_ns`])), duration(of.max_ns), count(of.count), count(of.lost),
    ]));
    const { close_codes: codes, ...connections } = news.connections;
    facts("connections", [
      ...Object.entries(connections).map(([name, value]) => [name, count(value)]),
      ...Object.entries(codes).map(([code, value]) => [`closed with ${code}`, count(value)]),
    ]);
    facts("messages", Object.entries(news.messages).map(([name, value]) => [name, count(value)]));
    facts("negotiated", Object.entries(news.negotiated).map(([name, value]) => [
      name.replace("_", " ").replace("tls", "TLS"), value ?? "none",
    ]));
    table("workers", ["worker", "CPU", "mean", "most", "of it waiting", "memory", "replies"], news.workers.map((worker) => [
      `${worker.index}`, percent(worker.cpu_percent), percent(worker.cpu_percent_mean), percent(worker.cpu_percent_max),
      percent(worker.polling_percent), megabytes(worker.rss_bytes), count(worker.messages),
    ]));
    byId("facts").hidden = false;
    byId("errors-of-run").hidden = news.errors.length === 0;
    byId("errors").replaceChildren(...news.errors.map((error) => {
      const item = element("li", `${count(error.count)} × ${error.example} [${error.side}]`);
      if (error.remedy) item.append(element("p", error.remedy, "faint"));
      return item;
    }));
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

  function axis(own) {
    return {
      gridcolor: colour("--grid"), linecolor: colour("--line"), zeroline: false, showline: true, automargin: true, ...own,
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
      uirevision: id,  // what somebody zoomed into stays
    };
    Plotly.react(byId(id), data, layout, { displayModeBar: false, responsive: true });
  }

  function line(name, x, y, colourName, dash = "solid", more = {}) {
    const about = { hovertemplate: "%{y:.3s}s", ...more };
    return { type: "scatter", mode: "lines", name, x, y, line: { color: colour(colourName), width: 2, dash }, ...about };
  }

  const inSeconds = (ns) => (ns === null || ns === 0 ? null : ns / 1e9);

  // Ticks with units: of every decade, or where few are in sight, of its 1, 2 and 5.
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

  function drawCharts(news) {
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
    draw("rates", [["sent", "--a", "sent_per_s", "dash"], ["received", "--b", "received_per_s"], ["lost", "--bad", "lost_per_s"]].map(
      ([name, colourName, key, dash]) =>
        line(name, x, seconds.map((point) => point[key]), colourName, dash, { hovertemplate: "%{y:,.0f}/s" }),
    ), time, { rangemode: "tozero", tickformat: "~s", ticksuffix: "/s" });
    const lags = news.closed_loop ? ["read_lag"] : ["send_lag", "read_lag"];
    drawLatencies("lags", lags.map((name) =>
      line(NAMES[name], x, seconds.map((point) => inSeconds(point[`${name}_p99_ns`])), ...STYLES[name]),
    ), time);
    const nines = Array.from({ length: 8 }, (_, power) => 10 ** power);
    drawLatencies("curve", Object.entries(news.series)
      .filter(([name]) => !(news.closed_loop && name === "send_lag"))
      .map(([name, of]) => line(called(name), of.curve[0], of.curve[1].map(inSeconds), ...styleOf(name))),
    {
      type: "log", tickvals: nines, ticktext: ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %", "99.99999 %"],
      title: { text: "percentile", standoff: 4 }, hoverformat: ",.1f",
    });
    say("curve-phase", `${PHASES[news.phase_shown]} phase${news.state === "running" ? " so far" : ""}`);
  }

  // -- news ------------------------------------------------------------------------------------------------------

  function take(news) {
    showResults(news.results);
    if (news.state === "waiting") return;
    if (news.run.id !== run) {
      run = news.run.id;
      points = new Map();
    }
    since = news.version;
    for (const point of news.points) points.set(`${point.phase} ${point.start_ns}`, point);
    for (const key of points.keys()) {
      if (points.size <= KEPT_POINTS) break;
      points.delete(key);
    }
    showRun(news);
    showVerdict(news.verdict);
    showTiles(news);
    showTables(news);
    drawCharts(news);
  }

  let latest = null;
  async function ask() {
    try {
      const answer = await fetch(`live?run=${encodeURIComponent(run ?? "")}&since=${since}`, { cache: "no-store" });
      if (!answer.ok || answer.redirected) throw new Error(`Locust answers ${answer.status}: is somebody logged in?`);
      latest = await answer.json();
      say("trouble", "");
      if (!document.hidden) take(latest);
      document.documentElement.dataset.version = `${since}`;
    } catch (error) {
      say("trouble", error instanceof TypeError ? "Locust does not answer: it has ended" : error.message);
    }
    setTimeout(ask, EVERY_MS);
  }

  byId("stop").addEventListener("click", async () => {
    byId("stop").disabled = true;
    try {
      await fetch("../stop", { method: "POST" });
    } finally {
      byId("stop").disabled = false;
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => latest && take(latest));
  ask();
})();

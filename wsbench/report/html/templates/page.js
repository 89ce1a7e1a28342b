"use strict";
(() => {
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("plots").textContent);
  const config = {
    displaylogo: false,
    responsive: true,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  };
  const paper = { width: 680, height: 0.7 };

  // a string that starts with -- is the name of a colour
  function coloured(value, colours) {
    if (typeof value === "string") {
      return value.startsWith("--") ? colours.getPropertyValue(value).trim() : value;
    }
    if (Array.isArray(value)) {
      return value.map((each) => coloured(each, colours));
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, coloured(each, colours)]));
    }
    return value;
  }

  function axis(own) {
    return {
      gridcolor: "--grid",
      linecolor: "--line",
      zeroline: false,
      showline: true,
      automargin: true,
      ...own,
      title: { standoff: 8, ...own.title },
    };
  }

  function layoutOf(figure, onPaper) {
    return {
      autosize: !onPaper,
      margin: { l: 56, r: 14, t: 28, b: 44, pad: 2 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: "system-ui, sans-serif", size: 12, color: "--ink" },
      hovermode: "x unified",
      hoverlabel: { bgcolor: "--card", bordercolor: "--line", font: { color: "--ink" } },
      showlegend: figure.data.length > 1,
      legend: { orientation: "h", x: 0, y: 1.05, xanchor: "left", yanchor: "bottom" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "--faint", activecolor: "--ink", orientation: "v" },
      dragmode: "zoom",
      ...figure.layout,
      ...(onPaper ? { width: paper.width, height: Math.round(paper.height * figure.layout.height) } : {}),
      xaxis: axis(figure.layout.xaxis),
      yaxis: axis(figure.layout.yaxis),
    };
  }

  function draw(figure, onPaper) {
    const colours = getComputedStyle(root);
    const layout = coloured(layoutOf(figure, onPaper), colours);
    const place = document.getElementById(figure.id);
    place.style.height = `${layout.height}px`;
    Plotly.react(place, coloured(figure.data, colours), layout, config);
  }

  // charts with the same `meta` show the same stretch of their common axis
  function zoomTogether(figure) {
    const range = document.getElementById(figure.id).layout.xaxis.range;
    figures
      .filter((other) => other !== figure && other.layout.meta === figure.layout.meta)
      .map((other) => document.getElementById(other.id))
      .filter((place) => String(place.layout.xaxis.range) !== String(range))
      .forEach((place) => Plotly.relayout(place, { "xaxis.range": [...range] }));
  }

  let printing = false;

  function drawAll() {
    figures.forEach((figure) => draw(figure, printing));
  }

  function print(begins) {
    printing = begins;
    root.classList.toggle("paper", begins);
    drawAll();
  }

  // one by one, so that the page stays readable and scrollable meanwhile
  function drawFrom(index) {
    if (index === figures.length) {
      root.dataset.drawn = "yes";
      return;
    }
    const figure = figures[index];
    draw(figure, printing);
    if (figure.layout.meta) {
      document.getElementById(figure.id).on("plotly_relayout", () => zoomTogether(figure));
    }
    setTimeout(drawFrom, 0, index + 1);
  }

  drawFrom(0);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
})();

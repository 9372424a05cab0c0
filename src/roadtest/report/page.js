// Draws the charts, one after the other so that the page can be read meanwhile. Colours of text and lines come from
// the style sheet; expressions are interpreted, not evaluated, so that the page's policy can forbid eval.
(() => {
  "use strict";
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const isDark = window.matchMedia("(prefers-color-scheme: dark)");

  function toRows(columns) {
    const names = Object.keys(columns);
    return columns[names[0]].map((_, place) => Object.fromEntries(names.map((name) => [name, columns[name][place]])));
  }

  function shared(spec) {
    const name = spec.data && spec.data.name;
    return name && name in charts.datasets ? { [name]: toRows(charts.datasets[name]) } : {};
  }

  async function draw(place, spec) {
    const panel = document.getElementById(place);
    const whole = { ...spec, config: charts.config, datasets: { ...spec.datasets, ...shared(spec) } };
    const options = { actions: false, renderer: "svg", ast: true, tooltip: { theme: isDark.matches ? "dark" : "light" } };
    try {
      await window.vegaEmbed(panel, whole, options);
    } catch (error) {
      panel.textContent = `This chart could not be drawn: ${error.message}`;
    }
    panel.style.minHeight = "";
  }

  async function drawAll() {
    for (const [place, spec] of Object.entries(charts.panels)) {
      await draw(place, spec);
    }
    document.documentElement.dataset.charts = "drawn";
  }

  drawAll();
})();

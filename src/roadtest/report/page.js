// Draws the charts, one after the other so that the page can be read meanwhile; switches the axes of a chart that has
// several; copies tables. Colours of text and lines come from the style sheet; expressions are interpreted, not
// evaluated, so that the page's policy can forbid eval.
(() => {
  "use strict";
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const isDark = window.matchMedia("(prefers-color-scheme: dark)");

  // Charts

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

  async function drawView(box) {
    const chosen = (axis) => box.querySelector(`input[data-axis="${axis}"]:checked`).value;
    const view = charts.views[box.dataset.figure][`${chosen("across")}, ${chosen("down")}`];
    if (view) {
      await draw(`${box.dataset.figure}-view`, view);
    }
  }

  async function drawAll() {
    for (const figure of document.querySelectorAll("figure.chart")) {
      for (const panel of figure.querySelectorAll(".panel")) {
        const box = figure.querySelector(".views");
        await (box ? drawView(box) : draw(panel.id, charts.panels[panel.id]));
      }
    }
    document.documentElement.dataset.charts = "drawn";
  }

  // Tables: what is seen, a smaller line in brackets behind its figure

  const texSigns = {
    "\\": "\\textbackslash{}", "&": "\\&", "%": "\\%", $: "\\$", "#": "\\#", _: "\\_", "{": "\\{", "}": "\\}",
    "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "<": "\\textless{}", ">": "\\textgreater{}", "–": "--",
  };
  const escapes = {
    md: (text) => text.replace(/[\\|`*_<>[\]]/g, "\\$&"),
    tex: (text) => text.replace(/[\\&%$#_{}~^<>–]/g, (sign) => texSigns[sign]),
    csv: (text) => (/[",]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text),
  };

  function textOf(cell) {
    const small = cell.querySelector(".below, .unit");
    const main = [...cell.querySelectorAll(".name"), cell][0].firstChild;
    const [first, second] = [main, small].map((node) => (node ? node.textContent.replace(/\s+/g, " ").trim() : ""));
    return small ? (cell.tagName === "TH" && small.className === "unit" ? `${first}, ${second}` : `${first} (${second})`) : first;
  }

  function render(table, kind) {
    const rows = [...table.rows].filter((row) => !row.classList.contains("line"));
    const lines = rows.map((row) => [...row.cells].map((cell) => escapes[kind](textOf(cell))));
    const isNumber = [...rows[0].cells].map((cell) => cell.classList.contains("number"));
    if (kind === "csv") {
      return lines.map((line) => line.join(",")).join("\n") + "\n";
    }
    if (kind === "md") {
      const rule = isNumber.map((is) => (is ? "---:" : "---"));
      return [lines[0], rule, ...lines.slice(1)].map((line) => `| ${line.join(" | ")} |\n`).join("");
    }
    const body = lines.map((line) => `${line.join(" & ")} \\\\`);
    const shape = isNumber.map((is) => (is ? "r" : "l")).join("");
    return [`\\begin{tabular}{${shape}}`, "\\toprule", body[0], "\\midrule", ...body.slice(1), "\\bottomrule", "\\end{tabular}", ""].join("\n");
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // a page opened from a disk may not have the clipboard: the old way asks nobody
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".copy button");
    if (!button) {
      return;
    }
    const box = button.closest(".copy");
    await copy(render(document.querySelector(`#${box.dataset.table} table`), button.dataset.kind));
    const said = box.querySelector(".copied");
    said.textContent = "copied";
    setTimeout(() => { said.textContent = ""; }, 2000);
  });

  for (const box of document.querySelectorAll(".views")) {
    box.addEventListener("change", () => drawView(box));
  }
  // paper shows what is folded on the screen, and a link into a fold opens it
  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  window.addEventListener("hashchange", openTarget);
  function openTarget() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = target && target.closest("details");
    if (fold) {
      fold.open = true;
      target.scrollIntoView();
    }
  }
  openTarget();
  drawAll();
})();

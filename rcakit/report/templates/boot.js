(() => {
  "use strict";
  const unpacked = async () => {
    const packed = document.getElementById("chart-library").textContent;
    const text = atob(packed);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
    return new Response(
      new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip")),
    ).text();
  };
  const specification = (figure) =>
    JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
  const records = (node, found = []) => {
    if (Array.isArray(node)) {
      const isData = node.length > 0 && node.every((item) => item && typeof item === "object" && !Array.isArray(item) && Object.values(item).every((v) => v === null || typeof v !== "object" || Array.isArray(v)));
      if (isData) found.push(node);
      else node.forEach((item) => records(item, found));
    } else if (node && typeof node === "object") {
      Object.entries(node).forEach(([name, item]) => {
        if (name === "values" || name === "datasets" || (item && typeof item === "object" && name !== "encoding" && name !== "config")) records(item, found);
      });
    }
    return found;
  };
  // On a phone the names beside an axis leave room for what they name.
  const narrowed = (node, limit) => {
    if (Array.isArray(node)) return node.forEach((item) => narrowed(item, limit));
    if (!node || typeof node !== "object") return undefined;
    if (node.labelLimit > limit) node.labelLimit = limit;
    return Object.entries(node).forEach(([name, item]) => name !== "values" && narrowed(item, limit));
  };
  // One chart that cannot be drawn must not take the others with it; its data stay below.
  const draw = async (figure) => {
    if (figure.dataset.drawn) return;
    figure.dataset.drawn = "soon";
    try {
      await drawn(figure);
      figure.dataset.drawn = "yes";
    } catch (problem) {
      figure.dataset.drawn = "failed";
      figure.querySelector(".drawing").textContent = "This chart could not be drawn. Its data are below.";
      console.error(problem);
    }
  };
  const drawn = async (figure) => {
    const spec = specification(figure);
    const place = document.createElement("div"); // Vega gives it a role of its own
    figure.querySelector(".drawing").replaceChildren(place);
    const room = Math.floor(place.clientWidth);
    const fits = "fit" in figure.dataset;
    if (fits) spec.width = Math.max(120, room - 60);
    narrowed(spec, Math.max(110, 0.45 * room));
    spec.background = "transparent";
    spec.config = { ...spec.config, axisX: { ...spec.config?.axisX, labelOverlap: "parity", labelSeparation: 8 } };
    // As the text writes numbers: a comma would be a decimal sign to half of the readers.
    const formatLocale = { decimal: ".", thousands: "\u202f", grouping: [3], currency: ["", ""], minus: "\u2212" };
    const options = { actions: false, ast: true, renderer: "svg", tooltip: { theme: "custom" }, formatLocale };
    const { view } = await window.vegaEmbed(place, spec, options);
    const taken = Number(place.querySelector("svg").getAttribute("width"));
    // Drawing again costs as much as drawing: a strip left free at the side does not.
    if (fits && (taken > room || taken < room - 60)) {
      await view.width(Math.max(120, Math.floor(view.width() + room - taken))).runAsync();
    }
  };
  const written = (value) => {
    if (value === null || value === undefined) return "";
    if (Array.isArray(value)) return value.join(" ");
    if (typeof value === "number" && !Number.isInteger(value)) return String(Number(value.toPrecision(4)));
    return String(value);
  };
  const tabulate = (details) => {
    if (details.dataset.filled) return;
    details.dataset.filled = "yes";
    const seen = new Set();
    for (const rows of records(specification(details.closest("figure")))) {
      const key = JSON.stringify(rows);
      if (seen.has(key)) continue;
      seen.add(key);
      const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) =>
        rows.some((row) => row[name] !== null && row[name] !== undefined && row[name] !== ""),
      );
      const box = document.createElement("div");
      box.className = "scroll";
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", `Data ${seen.size}`);
      const table = document.createElement("table");
      const head = table.createTHead().insertRow();
      for (const name of names) {
        const cell = document.createElement("th");
        cell.scope = "col";
        cell.textContent = name.replaceAll("_", " ");
        head.append(cell);
      }
      const body = table.createTBody();
      for (const row of rows.slice(0, 500)) {
        const line = body.insertRow();
        for (const name of names) {
          const cell = line.insertCell();
          cell.textContent = written(row[name]);
          if (typeof row[name] === "number") cell.className = "number";
        }
      }
      box.append(table);
      details.append(box);
    }
  };
  const isClosed = (figure) => figure.closest("details:not([open])") !== null;
  const idle = () =>
    new Promise((go) => (window.requestIdleCallback ? requestIdleCallback(go, { timeout: 200 }) : setTimeout(go)));
  const isInView = (figure) => figure.querySelector(".drawing").getBoundingClientRect().top < window.innerHeight;
  const loaded = async (text) => {
    const library = document.createElement("script");
    library.textContent = await text;
    document.head.append(library);
  };
  const answers = () => {
    document.documentElement.dataset.interactive = "yes";
    performance.mark("interactive");
  };
  // Text first; then the charts that are in view; then, between the reader's own doings, the rest.
  const start = async () => {
    // `rcakit pdf` prints this address: what is collapsed is drawn as well.
    if (location.hash === "#paper") for (const details of document.querySelectorAll("details:not(.data)")) details.open = true;
    const figures = [...document.querySelectorAll("figure.chart")].filter((figure) => !isClosed(figure));
    const [seen, below] = [figures.filter(isInView), figures.filter((figure) => !isInView(figure))];
    listen();
    if (seen.length === 0) answers();
    const text = unpacked(); // in a thread of its own, while the page is painted
    await idle();
    await loaded(text);
    for (const figure of seen) await draw(figure);
    if (seen.length > 0) answers();
    for (const figure of below) {
      await idle();
      await draw(figure);
    }
    document.documentElement.dataset.charts = "drawn";
    performance.mark("drawn");
  };
  const listen = () => {
    for (const details of document.querySelectorAll("details")) {
      details.addEventListener("toggle", () => {
        if (!details.open) return;
        if (details.classList.contains("data")) tabulate(details);
        for (const figure of details.querySelectorAll("figure.chart")) if (!isClosed(figure)) ready.then(() => draw(figure));
      });
    }
  };
  const ready = start();
})();

(() => {
  "use strict";
  const STEP = 50;
  const { runs, findings } = JSON.parse(document.getElementById("rows").textContent);
  const folded = (text) => text.toLowerCase();
  for (const run of runs) run.hay = folded([run.p, run.s, run.v, run.a, run.q, run.r].join("\n"));
  for (const story of findings) story.hay = folded([story.p, story.k, story.w, story.c].join("\n"));
  const field = (id) => document.getElementById(id);
  const wanted = () => ({
    words: folded(field("search").value).split(/\s+/).filter(Boolean),
    playbook: field("playbook").value,
    status: field("status").value,
    strength: field("strength").value,
    from: field("from").value,
    to: field("to").value,
  });
  const element = (name, text, className) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const cell = (line, content, className) => {
    const made = element("td", undefined, className);
    made.append(content);
    line.append(made);
    return made;
  };
  const runLine = (run) => {
    const line = document.createElement("tr");
    cell(line, element("time", run.t.replace("T", " ")));
    cell(line, run.p);
    cell(line, element("span", run.s, `state ${run.s === "ok" ? "fine" : "bad"}`));
    cell(line, run.g);
    const said = element(run.u ? "a" : "span", run.a || run.r);
    if (run.u) said.href = run.u;
    cell(line, said).append(element("p", run.q, "note"));
    return line;
  };
  const SVG = "http://www.w3.org/2000/svg";
  const spark = (values) => {
    const low = Math.min(0, ...values);
    const span = Math.max(0, ...values) - low || 1;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 100 24");
    svg.setAttribute("class", "spark");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `Estimates, oldest first: ${values.join(", ")}`);
    const line = document.createElementNS(SVG, "polyline");
    const place = (value, i) => `${values.length > 1 ? (i / (values.length - 1)) * 96 + 2 : 50},${22 - ((value - low) / span) * 20}`;
    line.setAttribute("points", values.map(place).join(" "));
    const dot = document.createElementNS(SVG, "circle");
    const [x, y] = place(values[values.length - 1], values.length - 1).split(",");
    dot.setAttribute("cx", x);
    dot.setAttribute("cy", y);
    dot.setAttribute("r", "2");
    svg.append(line, dot);
    return svg;
  };
  const storyLine = (story) => {
    const line = document.createElement("tr");
    cell(line, element("span", `${story.k}: ${story.w}`)).append(element("p", story.c, "note"));
    cell(line, story.p);
    cell(line, story.g);
    cell(line, element("time", story.f));
    cell(line, element("time", story.l));
    cell(line, String(story.n), "number");
    cell(line, story.e.length ? spark(story.e) : "");
    return line;
  };
  const list = (table, button, makeLine) => {
    let rows = [];
    let shown = 0;
    const body = table.tBodies[0];
    const more = () => {
      const lines = document.createDocumentFragment();
      for (const row of rows.slice(shown, shown + STEP)) lines.append(makeLine(row));
      shown = Math.min(rows.length, shown + STEP);
      body.append(lines);
      button.hidden = shown >= rows.length;
    };
    button.addEventListener("click", more);
    return (found) => {
      rows = found;
      shown = 0;
      body.replaceChildren();
      more();
    };
  };
  const showRuns = list(field("runs"), field("more"), runLine);
  const showStories = list(field("stories"), field("more-stories"), storyLine);
  const counted = (n, total, noun) => (n === total ? `${total} ${noun}` : `${n} of ${total} ${noun}`);
  const apply = () => {
    const begin = performance.now();
    const w = wanted();
    const says = (hay) => w.words.every((word) => hay.includes(word));
    const foundRuns = runs.filter(
      (run) =>
        (!w.playbook || run.p === w.playbook) &&
        (!w.status || run.s === w.status) &&
        (!w.strength || run.g === w.strength) &&
        (!w.from || run.t.slice(0, 10) >= w.from) &&
        (!w.to || run.t.slice(0, 10) <= w.to) &&
        says(run.hay),
    );
    const foundStories = findings.filter(
      (story) =>
        (!w.playbook || story.p === w.playbook) &&
        (!w.strength || story.g === w.strength) &&
        (!w.from || story.l >= w.from) &&
        (!w.to || story.f <= w.to) &&
        says(story.hay),
    );
    showRuns(foundRuns);
    showStories(foundStories);
    field("count").textContent = counted(foundRuns.length, runs.length, "runs");
    field("story-count").textContent = counted(foundStories.length, findings.length, "findings");
    document.documentElement.dataset.filtered = String(performance.now() - begin);
  };
  for (const id of ["search", "playbook", "status", "strength", "from", "to"]) field(id).addEventListener("input", apply);
  apply();
  document.documentElement.dataset.ready = "yes";
  performance.mark("ready");
})();

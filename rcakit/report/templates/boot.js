(async () => {
  const packed = document.getElementById("chart-library").textContent;
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const library = document.createElement("script");
  library.textContent = await new Response(unpacked).text();
  document.head.append(library);
  for (const figure of document.querySelectorAll("figure.chart")) {
    const specification = JSON.parse(figure.querySelector("script").textContent);
    const place = document.createElement("div");
    figure.append(place);
    const options = { actions: false, ast: true, renderer: "svg", tooltip: { theme: "light" } };
    await window.vegaEmbed(place, specification, options);
  }
  document.documentElement.dataset.charts = "drawn";
})();

// Images side by side, each with its colors, and a cell whose values are read.
function view(c) {
  const { spec, buf, K, plot, model } = c, [h, w] = spec.size, count = h * w, words = spec.rows || spec.columns;
  const row = i => spec.rows ? spec.rows[i] : String(i), column = j => spec.columns ? spec.columns[j] : String(j);
  const mark = () => Math.max(0, Math.min(count - 1, model.get("mark"))), put = m => { model.set("mark", m); model.save_changes(); };
  const names = n => Array.from({ length: n }, (_, i) => i);
  const hex = s => [1, 3, 5].map(i => parseInt(s.slice(i, i + 2), 16));
  const lut = anchors => { // 256 colors between evenly spaced anchors
    const a = anchors.map(hex), out = [];
    for (let i = 0; i < 256; i++) { const u = i / 255 * (a.length - 1), k = Math.min(a.length - 2, Math.floor(u)); out.push(a[k].map((p, d) => Math.round(p + (a[k + 1][d] - p) * (u - k)))); }
    return out;
  };
  const dim = c => c.reduce((sum, v, d) => sum + [0.2126, 0.7152, 0.0722][d] * (v > 10 ? ((v / 255 + 0.055) / 1.055) ** 2.4 : v / 3295), 0) < 0.179; // white reads better on it than black
  const box = add(plot, "div", { class: "wl-images" });
  const P = spec.panels.map(p => {
    const f = add(box, "div", { class: "wl-panel" }), [lo, hi] = p.limits;
    add(f, "div", { class: "wl-axis" }, p.name);
    const svg = add(f, "svg", { role: "img", class: "wl-plot" }), bar = add(f, "div", { class: "wl-bar", "aria-hidden": "true" });
    add(bar, "span", {}, number(lo)); add(bar, "i", { style: `background:linear-gradient(90deg,${spec.maps[p.colors].join()})` }); add(bar, "span", {}, number(hi));
    return { ...p, lo, hi, at: reader(p.values, buf, K), lut: lut(spec.maps[p.colors]), svg };
  });
  if (spec.xlabel || spec.ylabel) add(plot, "div", { class: "wl-axis wl-x" }, [spec.ylabel && `down: ${spec.ylabel}`, spec.xlabel && `across: ${spec.xlabel}`].filter(Boolean).join("; "));
  const syncs = [
    slider(plot, `Read at ${spec.ylabel || "row"}`, names(h).map(row), () => Math.floor(mark() / w), i => put(i * w + mark() % w), "wl-read"),
    slider(plot, `Read at ${spec.xlabel || "column"}`, names(w).map(column), () => mark() % w, j => put(Math.floor(mark() / w) * w + j), "wl-read"),
  ];
  const canvas = document.createElement("canvas"); canvas.width = w; canvas.height = h;
  let hot;
  function size(width) {
    const across = Math.min(P.length, Math.max(1, Math.floor(width / (words ? 300 : 150)))), room = Math.min(words ? 560 : 300, (width - 16 * (across - 1)) / across);
    const left = spec.rows ? 8 + 6.6 * Math.max(...spec.rows.map(s => s.length)) : 0;
    P.forEach(p => {
      const s = (room - left) / w, turn = spec.columns && Math.max(...spec.columns.map(t => t.length)) * 6.6 > s, top = spec.columns ? turn ? 10 + 6.6 * Math.max(...spec.columns.map(t => t.length)) : 20 : 0;
      Object.assign(p, { s, left, top });
      p.svg.parentNode.style.width = room + "px"; p.svg.replaceChildren();
      p.svg.setAttribute("viewBox", `0 0 ${room} ${top + s * h}`); p.svg.setAttribute("height", top + s * h);
      p.image = add(p.svg, "image", { x: left, y: top, width: s * w, height: s * h, preserveAspectRatio: "none", class: "wl-pixels" });
      if (spec.rows) names(h).forEach(i => add(p.svg, "text", { x: left - 5, y: top + s * (i + 0.5) + 4, "text-anchor": "end" }, row(i)));
      if (spec.columns) names(w).forEach(j => { const x = left + s * (j + 0.5); add(p.svg, "text", turn ? { x, y: top - 5, transform: `rotate(-90 ${x + 4} ${top - 5})`, dx: 4 } : { x, y: top - 6, "text-anchor": "middle" }, column(j)); });
      p.cells = spec.numbers && s >= 40 ? names(count).map(i => add(p.svg, "text", { x: left + s * (i % w + 0.5), y: top + s * (Math.floor(i / w) + 0.5) + 4, "text-anchor": "middle" })) : [];
      p.cell = [0, 1].map(k => add(p.svg, "rect", { width: s, height: s, class: "wl-cell" + k }));
      const touch = add(p.svg, "rect", { x: left, y: top, width: s * w, height: s * h, class: "wl-touch" });
      const pick = e => { const b = touch.getBoundingClientRect(), q = (v, n) => Math.max(0, Math.min(n - 1, Math.floor(v * n))); const m = q((e.clientY - b.top) / b.height, h) * w + q((e.clientX - b.left) / b.width, w); if (m !== mark()) put(m); };
      touch.addEventListener("pointerdown", e => { hot = true; touch.setPointerCapture(e.pointerId); pick(e); });
      touch.addEventListener("pointermove", e => { if (hot) pick(e); });
      for (const up of ["pointerup", "pointercancel"]) touch.addEventListener(up, () => { hot = false; });
    });
  }
  function draw(at) {
    const m = mark(), i = Math.floor(m / w), j = m % w, context = canvas.getContext("2d"), pixels = context.createImageData(w, h);
    P.forEach(p => {
      const v = p.now = p.at(at);
      v.forEach((u, k) => {
        const known = u === u, q = Math.max(0, Math.min(255, Math.floor((u - p.lo) / (p.hi - p.lo || 1) * 256))), color = known ? p.lut[q] : [0, 0, 0];
        pixels.data.set([...color, known ? 255 : 0], 4 * k);
        if (p.cells[k]) { p.cells[k].textContent = known ? number(Number(u.toPrecision(2))) : ""; p.cells[k].style.fill = spec.ink[Number(dim(color))]; }
      });
      context.putImageData(pixels, 0, 0);
      p.image.setAttribute("href", canvas.toDataURL());
      p.cell.forEach(r => { r.setAttribute("x", p.left + p.s * j); r.setAttribute("y", p.top + p.s * i); });
      const r = range(v, p.at.words);
      p.words = `${p.name} ${r.words}` + (r.where < 0 ? "" : `, largest at ${spec.ylabel || "row"} ${row(Math.floor(r.where / w))}, ${spec.xlabel || "column"} ${column(r.where % w)}`);
      p.svg.setAttribute("aria-label", `${spec.title}. ${p.words}`);
    });
    syncs.forEach(s => s());
    return `At ${spec.ylabel || "row"} ${row(i)}, ${spec.xlabel || "column"} ${column(j)}: ${P.map(p => `${p.name} ${p.at.words(p.now[m])}`).join(", ")}. ${P.map(p => p.words).join("; ")}.`;
  }
  function data(host) {
    if (count <= 400) return table(host, ["", ...P.flatMap(p => names(w).map(j => (P.length > 1 ? p.name + " " : "") + column(j)))], names(h).map(i => [row(i), ...P.flatMap(p => Array.from(p.now.slice(i * w, i * w + w), p.at.words))]));
    table(host, ["row", ...P.flatMap(p => [`${p.name}, lowest`, `${p.name}, highest`])], names(h).map(i => [row(i), ...P.flatMap(p => { const r = range(p.now.slice(i * w, i * w + w)); return [p.at.words(r.lo), p.at.words(r.hi)]; })]));
  }
  return { size, draw, data };
}

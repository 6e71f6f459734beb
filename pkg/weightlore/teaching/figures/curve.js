// Curves, points or bars with bands, reference lines and a place where values are read.
function ticks(lo, hi, log, most) {
  const out = [];
  if (log) {
    const e0 = Math.ceil(Math.log10(lo) - 1e-9), e1 = Math.floor(Math.log10(hi) + 1e-9), by = Math.max(1, Math.ceil((e1 - e0 + 1) / most));
    for (let e = e0; e <= e1; e += by) out.push(10 ** e);
    if (out.length > 2) return out;
    return [1, 2, 5].flatMap(m => Array.from({ length: e1 - e0 + 3 }, (_, i) => m * 10 ** (e0 - 1 + i))).filter(v => v >= lo && v <= hi).sort((p, q) => p - q);
  }
  const raw = (hi - lo) / most || 1, p = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].find(m => m * p >= raw * 0.999) * p;
  for (let k = Math.ceil(lo / step - 1e-9); k * step <= hi + step * 1e-9; k++) out.push(k * step);
  return out;
}
function view(c) {
  const { spec, buf, K, plot, model } = c, X = reader(spec.x, buf, 0)([]), n = X.length, cats = spec.categories, [y0, y1] = spec.ylim;
  const xs = cats || Array.from(X, number), bars = spec.style === "bars", read = b => b && reader(b, buf, K);
  const S = spec.curves.map((s, i) => ({ ...s, i: i % 6, at: read(s.values), lo: read(s.low), hi: read(s.high) }));
  const R = (spec.references || []).map(r => ({ ...r, at: read(r.values) }));
  if (spec.ylabel) add(plot, "div", { class: "wl-axis" }, spec.ylabel);
  const svg = add(plot, "svg", { role: "img", class: "wl-plot" });
  add(plot, "div", { class: "wl-axis wl-x" }, spec.xlabel);
  const legend = add(plot, "ul", { class: "wl-legend" });
  const entry = (color, dash, name) => {
    const li = add(legend, "li"), s = add(li, "svg", { width: 26, height: 10, "aria-hidden": "true" });
    add(s, "line", { x1: 1, x2: 25, y1: 5, y2: 5, "stroke-width": 3, style: `stroke:${color}`, "stroke-dasharray": dash });
    add(li, "span", {}, name);
    return add(li, "b");
  };
  S.forEach(s => { s.out = entry(`var(--wl-s${s.i})`, bars ? "" : spec.dashes[s.i], s.name); });
  R.forEach(r => entry("var(--wl-muted)", "1 3", r.name));
  const mark = () => Math.max(0, Math.min(n - 1, model.get("mark"))), setMark = j => { model.set("mark", j); model.save_changes(); };
  const syncMark = slider(plot, `Read at ${spec.xlabel}`, xs, mark, setMark, "wl-read");
  const lx = spec.xscale === "log", ly = spec.yscale === "log", f = (v, log) => log ? Math.log(v) : v;
  let W, H, L, B = 24, T = 8, x0, x1, now = [], cursor, hot;
  const along = (v, lo, hi, log) => (f(v, log) - f(lo, log)) / (f(hi, log) - f(lo, log) || 1);
  const px = v => L + (W - L - 10) * along(v, x0, x1, lx), py = v => H - B - (H - T - B) * along(v, y0, y1, ly);
  const join = (p, move) => { let s = "", pen = 0; for (let j = 0; j < n; j++) if (p[j] === p[j]) { s += (pen ? "L" : "M") + px(X[j]).toFixed(1) + " " + py(p[j]).toFixed(1); pen = 1; } else pen = 0; return s; };
  const area = (a, b) => { // stretches where both edges are known
    let s = "", j = 0;
    const pt = (v, k) => px(X[k]).toFixed(1) + " " + py(v[k]).toFixed(1);
    while (j < n) { if (!(a[j] === a[j] && b[j] === b[j])) { j++; continue; } let k = j; while (k < n && a[k] === a[k] && b[k] === b[k]) k++; const u = [], d = []; for (let q = j; q < k; q++) { u.push(pt(b, q)); d.unshift(pt(a, q)); } s += "M" + u.concat(d).join("L") + "Z"; j = k; }
    return s;
  };
  function size(w) {
    W = w; H = Math.max(200, Math.min(340, Math.round(w * 0.56)));
    svg.setAttribute("viewBox", `0 0 ${W} ${H}`); svg.setAttribute("height", H); svg.replaceChildren();
    const ty = ticks(y0, y1, ly, 6);
    L = 14 + 7 * Math.max(...ty.map(v => number(v).length));
    [x0, x1] = spec.xlim;
    const g = add(svg, "g", { class: "wl-grid" });
    ty.forEach(v => { add(g, "line", { x1: L, x2: W - 10, y1: py(v), y2: py(v) }); add(g, "text", { x: L - 6, y: py(v) + 4, "text-anchor": "end" }, number(v)); });
    const room = Math.max(2, Math.floor((W - L) / 70)), by = Math.ceil(n / Math.max(1, Math.floor((W - L) / (7 * Math.max(...xs.map(s => s.length)) + 10))));
    (cats ? Array.from(X).filter((_, j) => j % by === 0) : ticks(x0, x1, lx, room)).forEach(v => {
      if (!cats) add(g, "line", { x1: px(v), x2: px(v), y1: T, y2: H - B });
      add(g, "text", { x: px(v), y: H - 7, "text-anchor": "middle" }, cats ? cats[v] : number(v));
    });
    const seen = [L - 6, T - 6, W - L + 2, H - B - T + 12]; // what leaves the axes is cut off; half a dot may stand over
    const inner = add(svg, "svg", { x: seen[0], y: seen[1], width: seen[2], height: seen[3], viewBox: seen.join(" ") });
    R.forEach(r => { r.path = add(inner, "path", { class: "wl-ref" }); });
    (spec.lines || []).forEach(l => { const right = px(l.x) > W * 0.6; add(svg, "line", { x1: px(l.x), x2: px(l.x), y1: T, y2: H - B, class: "wl-ref" }); add(svg, "text", { x: px(l.x) + (right ? -4 : 4), y: T + 11, "text-anchor": right ? "end" : "start", class: "wl-word" }, l.name); });
    S.forEach(s => {
      if (s.lo) s.band = add(inner, "path", { class: "wl-band", style: `fill:var(--wl-s${s.i})` });
      s.path = add(inner, "path", { class: "wl-curve wl-" + spec.style, style: `--c:var(--wl-s${s.i})`, "stroke-dasharray": spec.style === "lines" ? spec.dashes[s.i] : "" });
    });
    cursor = add(svg, "line", { class: "wl-cursor", y1: T, y2: H - B });
    const over = add(svg, "svg", { x: seen[0], y: seen[1], width: seen[2], height: seen[3], viewBox: seen.join(" ") });
    S.forEach(s => { s.dot = add(over, "circle", { r: 4.5, class: "wl-dot", style: `fill:var(--wl-s${s.i})` }); });
    const frame = add(svg, "rect", { x: L, y: T, width: W - L - 10, height: H - B - T, class: "wl-touch" });
    const pick = e => { const box = svg.getBoundingClientRect(), u = (e.clientX - box.left) * W / box.width; let best = 0; for (let j = 1; j < n; j++) if (Math.abs(px(X[j]) - u) < Math.abs(px(X[best]) - u)) best = j; if (best !== mark()) setMark(best); };
    frame.addEventListener("pointerdown", e => { hot = true; frame.setPointerCapture(e.pointerId); pick(e); });
    frame.addEventListener("pointermove", e => { if (hot) pick(e); });
    for (const up of ["pointerup", "pointercancel"]) frame.addEventListener(up, () => { hot = false; });
  }
  function draw(at) {
    const m = mark();
    R.forEach(r => { r.now = r.at(at); const v = r.now; r.path.setAttribute("d", v.length === n ? join(v) : `M${L} ${py(v[0])}H${W - 10}`); });
    now = S.map((s, k) => {
      const v = s.at(at);
      if (s.lo) { s.l = s.lo(at); s.h = s.hi(at); s.band.setAttribute("d", area(s.l, s.h)); }
      const slot = (W - L - 10) / n, b = slot * 0.8 / S.length, off = bars ? (k - (S.length - 1) / 2) * b : 0;
      let d = "";
      if (bars) v.forEach((u, j) => { if (u === u) { const x = px(X[j]) + off, z = py(ly ? y0 : Math.max(y0, Math.min(0, y1))); d += `M${(x - b * 0.46).toFixed(1)} ${z.toFixed(1)}V${py(u).toFixed(1)}h${(b * 0.92).toFixed(1)}V${z.toFixed(1)}Z`; } });
      else if (spec.style === "points") v.forEach((u, j) => { if (u === u) d += `M${px(X[j]).toFixed(1)} ${py(u).toFixed(1)}h0`; });
      else d = join(v);
      s.path.setAttribute("d", d);
      s.dot.setAttribute("visibility", v[m] === v[m] ? "visible" : "hidden");
      if (v[m] === v[m]) { s.dot.setAttribute("cx", px(X[m]) + off); s.dot.setAttribute("cy", py(v[m])); }
      s.out.textContent = s.at.words(v[m]);
      return v;
    });
    cursor.setAttribute("x1", px(X[m])); cursor.setAttribute("x2", px(X[m]));
    syncMark();
    const extent = S.map((s, k) => `${s.name} ${range(now[k], s.at.words).words}`).join(", ");
    svg.setAttribute("aria-label", `${spec.title}. ${spec.ylabel} against ${spec.xlabel}. ${extent}`);
    return `At ${spec.xlabel} ${xs[m]}: ${S.map((s, k) => `${s.name} ${s.at.words(now[k][m])}`).join(", ")}. Over the whole range: ${extent}.`;
  }
  function data(host) {
    const head = [spec.xlabel], step = Math.ceil(n / 101), rows = [];
    S.forEach(s => head.push(s.name, ...(s.lo ? [`${s.name}, low`, `${s.name}, high`] : [])));
    for (let j = 0; j < n; j += step) rows.push([xs[j], ...S.flatMap((s, k) => (s.lo ? [now[k][j], s.l[j], s.h[j]] : [now[k][j]]).map(s.at.words))]);
    table(host, head, rows);
  }
  return { size, draw, data };
}

// Draws one slice of precomputed results. It needs a model (get, set, on, off, save_changes) and an element, nothing else:
// the same in Jupyter and in a page without a kernel. Colors come from CSS properties and from the state.
// Before this text stands the one of a kind of figure, which defines view(context) -> {size(width), draw(at), data(host)}.
const NS = "http://www.w3.org/2000/svg";
function add(parent, tag, attrs = {}, text) {
  const e = /^(svg|g|path|line|text|rect|circle|image)$/.test(tag) ? document.createElementNS(NS, tag) : document.createElement(tag);
  for (const k in attrs) if (attrs[k] !== undefined) e.setAttribute(k, attrs[k]);
  if (text !== undefined) e.textContent = text;
  if (parent) parent.appendChild(e);
  return e;
}
function number(v) {
  if (v !== v) return "missing";
  const a = Math.abs(v);
  if (v && (a < 1e-4 || a >= 1e6)) { const [m, e] = v.toExponential(3).split("e"); return Number(m) + "e" + Number(e); }
  return String(Number(v.toPrecision(4)));
}
function range(v, words = number) {
  let lo = Infinity, hi = -Infinity, where = -1;
  v.forEach((u, j) => { if (u < lo) lo = u; if (u > hi) { hi = u; where = j; } });
  return { lo, hi, where, words: where < 0 ? "missing" : lo === hi ? words(lo) : `${words(lo)} to ${words(hi)}` };
}
// A block of the state, as a function from a knob position to the values there; a knob that changes nothing has length 1.
function reader(b, buf, knobs) {
  const count = b.h.reduce((p, q) => p * q, 1), inner = b.h.slice(knobs).reduce((p, q) => p * q, 1);
  const codes = new { 8: Uint8Array, 16: Uint16Array, 32: Float32Array }[b.t](buf, b.o, count), miss = b.t < 32 ? 2 ** b.t - 1 : NaN;
  const at = at => {
    let o = 0;
    for (let d = 0; d < knobs; d++) o = o * b.h[d] + (b.h[d] > 1 ? at[d] : 0);
    const out = new Float64Array(inner);
    for (let j = 0; j < inner; j++) { const c = codes[o * inner + j]; out[j] = c === miss ? NaN : b.a + b.b * c; }
    return out;
  };
  at.words = v => number(b.t < 32 && v === v ? Number(v.toFixed(Math.max(0, Math.min(20, Math.floor(-Math.log10(b.b)))))) : v); // no digit finer than a step
  return at;
}
function slider(parent, label, shown, get, set, cls) { // a native input with its name, its value in words and room for a finger
  const row = add(parent, "label", { class: "wl-knob" });
  add(row, "span", {}, label);
  const out = add(row, "b", { "aria-hidden": "true" }); // the input says it itself
  const r = add(row, "input", { type: "range", min: 0, max: shown.length - 1, step: 1, class: cls, "data-lm-suppress-shortcuts": "true", "aria-label": label });
  r.addEventListener("input", () => set(Number(r.value)));
  const sync = () => { const i = get(); r.value = i; out.textContent = shown[i]; r.setAttribute("aria-valuetext", shown[i]); };
  sync();
  return sync;
}
function table(host, head, rows) {
  host.replaceChildren();
  const t = add(host, "table"), tr = add(add(t, "thead"), "tr"), body = add(t, "tbody");
  head.forEach(h => add(tr, "th", { scope: "col" }, h));
  rows.forEach(r => { const e = add(body, "tr"); r.forEach((v, i) => add(e, i ? "td" : "th", i ? {} : { scope: "row" }, v)); });
}

function render({ model, el }) {
  const spec = model.get("spec"), knobs = spec.knobs, raw = model.get("data"), outs = [];
  const bytes = raw instanceof DataView ? raw : new DataView(raw.buffer || raw, raw.byteOffset || 0, raw.byteLength);
  const buf = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  el.classList.add("wl-figure"); el.setAttribute("role", "group"); el.setAttribute("aria-label", spec.title);
  add(el, "div", { class: "wl-title" }, spec.title);
  const at = () => knobs.map((k, d) => Math.max(0, Math.min(k.values.length - 1, model.get("i" + d))));
  const box = add(el, "div", { class: "wl-knobs" }), syncs = [];
  if (model.get("controls")) knobs.forEach((k, d) => {
    if (k.values.length > 1) syncs.push(slider(box, k.label, k.values, () => at()[d], i => { model.set("i" + d, i); model.save_changes(); }, "wl-turn"));
  });
  const plot = add(el, "div", { class: "wl-body" }), note = add(el, "p", { class: "wl-note" });
  const kind = view({ spec, buf, K: knobs.length, plot, model });
  const say = add(el, "p", { class: "wl-say", role: "status" }), fold = add(el, "details", { class: "wl-data" });
  add(fold, "summary", {}, "Data");
  const cells = add(fold, "div", { class: "wl-cells", tabindex: 0, role: "region", "aria-label": "Data of the figure" });
  const draw = () => {
    const i = at(), where = knobs.map((k, d) => `${k.label} ${k.values[i[d]]}`).join(", ");
    syncs.forEach(s => s());
    const words = kind.draw(i);
    if (spec.notes) note.textContent = spec.notes[knobs.reduce((o, k, d) => o * k.values.length + i[d], 0)];
    say.textContent = (where ? where + ". " : "") + words;
    if (fold.open) kind.data(cells);
  };
  fold.addEventListener("toggle", () => { if (fold.open) kind.data(cells); });
  let width = 0;
  const fit = () => { const w = Math.round(Math.min(plot.clientWidth || 560, 640)); if (w !== width) { width = w; kind.size(w); draw(); } };
  fit();
  const watch = new ResizeObserver(fit);
  watch.observe(plot); outs.push(() => watch.disconnect(), kind.end || (() => {}));
  for (const t of ["mark", ...knobs.map((k, d) => "i" + d)]) { model.on("change:" + t, draw); outs.push(() => model.off("change:" + t, draw)); }
  return () => outs.forEach(f => f());
}
export default { render };

// Pictures made beforehand, one at each position.
function view(c) {
  const { spec, buf, plot } = c, n = spec.knobs.map(k => k.values.length), place = at => at.reduce((o, i, d) => o * n[d] + i, 0);
  const image = add(plot, "img", { class: "wl-frame" + (spec.pixels ? " wl-pixels" : "") }), urls = {};
  function draw(at) {
    const k = spec.order[place(at)], f = spec.frames[k];
    urls[k] = urls[k] || URL.createObjectURL(new Blob([new Uint8Array(buf, f.o, f.n)], { type: "image/" + spec.format }));
    image.src = urls[k]; image.width = f.w; image.height = f.h; image.alt = spec.words[place(at)];
    return spec.words[place(at)];
  }
  const data = host => table(host, [...spec.knobs.map(k => k.label), "what is seen"], spec.words.map((words, i) => { const at = []; for (let d = n.length - 1, r = i; d >= 0; d--) { at.unshift(spec.knobs[d].values[r % n[d]]); r = Math.floor(r / n[d]); } return [...at, words]; }));
  return { size: () => {}, draw, data, end: () => Object.values(urls).forEach(u => URL.revokeObjectURL(u)) };
}

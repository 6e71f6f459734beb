// Draws stored figures in a page that is one file: no widget manager, only what a figure asks of its model.
for (const [place, stored] of Object.entries(JSON.parse(document.getElementById("figures").textContent))) {
  const state = stored.state, heard = {};
  for (const { path, data } of stored.buffers) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    path.slice(0, -1).reduce((at, key) => at[key], state)[path.at(-1)] = new DataView(bytes.buffer);
  }
  const model = {
    get: (key) => state[key],
    set: (key, value) => { state[key] = value; (heard["change:" + key] || []).forEach((run) => run()); },
    save_changes() {},
    on: (event, run) => (heard[event] ??= []).push(run),
    off: (event, run) => { heard[event] = (heard[event] || []).filter((other) => other !== run); },
  };
  const code = URL.createObjectURL(new Blob([state._esm], { type: "text/javascript" }));
  import(code).then((figure) => {
    const style = document.createElement("style"), el = document.createElement("div");
    style.textContent = state._css;
    document.getElementById(place).replaceChildren(style, el);
    figure.default.render({ model, el });
  });
}

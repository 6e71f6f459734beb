// Turns the article of a built page into plain XHTML: what a printer and an e-book reader can show.
// Runs in the page. `wish` says {math: "svg" | "mathml", prefix: "" or what ids begin with,
// places: {address of a page: its place in the document that is made}, root: address of the book, site: where it is published}.
(wish) => {
  const XHTML = "http://www.w3.org/1999/xhtml", XLINK = "http://www.w3.org/1999/xlink";
  const set = window.MathJax && MathJax.startup && MathJax.startup.document;
  if (set) for (const item of set.math) if (item.typesetRoot) item.typesetRoot.dataset.tex = item.math;
  const LETTERS = {  // capital A of each alphabet, and the letters that Unicode keeps elsewhere; readers know few variants
    "double-struck": [0x1d538, { C: "ℂ", H: "ℍ", N: "ℕ", P: "ℙ", Q: "ℚ", R: "ℝ", Z: "ℤ" }],
    script: [0x1d49c, { B: "ℬ", E: "ℰ", F: "ℱ", H: "ℋ", I: "ℐ", L: "ℒ", M: "ℳ", R: "ℛ" }],
    "sans-serif": [0x1d5a0, {}],
  };
  const article = document.querySelector("article.bd-article").cloneNode(true);
  const every = (selector) => [...article.querySelectorAll(selector)];
  const make = (name, kind, children = []) => {
    const made = document.createElementNS(XHTML, name);
    if (kind) made.className = kind;
    made.append(...children);
    return made;
  };

  function formulas() {
    for (const set of every("mjx-container")) {
      const math = set.querySelector("mjx-assistive-mml math"), tex = set.dataset.tex || "";
      if (wish.math === "mathml") {
        math.setAttribute("alttext", tex.trim());
        set.replaceWith(math);
        spell(math);
        unlabel(math);
      } else {
        set.querySelectorAll("mjx-assistive-mml").forEach((e) => e.remove());
        set.setAttribute("role", "img");
        set.setAttribute("aria-label", tex);
      }
    }
  }

  function spell(math) {
    for (const e of math.querySelectorAll("[mathvariant]")) {
      const [first, others] = LETTERS[e.getAttribute("mathvariant")] || [], letter = e.textContent;
      if (!first || !/^[A-Z]$/.test(letter)) continue;
      e.textContent = others[letter] || String.fromCodePoint(first + letter.charCodeAt(0) - 65);
      e.removeAttribute("mathvariant");
    }
  }

  function unlabel(math) {  // readers know no row with a label: its number stands before the formula, or ends the row
    for (const e of [math, ...math.querySelectorAll("*")])
      for (const { name } of [...e.attributes]) if (name.startsWith("data-")) e.removeAttribute(name);
    for (const row of math.querySelectorAll("mlabeledtr")) {
      const [label, ...cells] = row.children, table = row.parentElement;
      if (table.children.length === 1 && cells.length === 1 && table.parentElement === math) {
        math.before(make("span", "eqno", [label.textContent]));
        table.replaceWith(...cells[0].childNodes);
      } else {
        const plain = document.createElementNS(math.namespaceURI, "mtr");
        plain.append(...cells, label);
        row.replaceWith(plain);
      }
    }
  }

  const LOOKS = ["fill", "fill-opacity", "stroke", "stroke-width", "font-family", "font-size", "text-anchor"];

  function diagrams() {  // their style sheet stays behind, so every line takes along what it looks like
    const seen = document.querySelectorAll("article.bd-article .wl-diagram svg, article.bd-article .wl-diagram svg *");
    every(".wl-diagram svg, .wl-diagram svg *").forEach((e, number) => {
      const look = getComputedStyle(seen[number]), ground = seen[number].parentElement;
      for (const name of LOOKS) e.style.setProperty(name, look.getPropertyValue(name));
      if (ground.matches(".wl-diagram")) e.style.setProperty("background", getComputedStyle(ground).backgroundColor);
    });
  }

  function pictures() {
    for (const hidden of every("noscript")) {
      const still = make("template");
      still.innerHTML = hidden.textContent;
      const image = still.content.querySelector("img");
      const told = make("p", "turns", ["This figure has knobs; in the online book they turn."]);
      if (image) hidden.replaceWith(make("div", "still", [document.importNode(image, true), told]));
    }
  }

  function unfold() {  // long tables of plotted data stay in the page; every other fold is opened
    every("details.wl-table").forEach((e) => e.remove());
    for (const fold of every("details")) {
      const opened = make("div", "fold"), head = fold.querySelector("summary");
      while (fold.firstChild) opened.append(fold.firstChild);
      if (head) head.replaceWith(make("p", "fold-title", [...head.childNodes]));
      if (fold.id) opened.id = fold.id;
      fold.replaceWith(opened);
    }
  }

  function strip() {
    every("script, style, button, nav, input, .headerlink, .wl-figure, .widget-subarea, .toctree-wrapper, svg.sd-octicon, .sd-summary-icon, .sd-summary-state-marker")
      .forEach((e) => e.remove());
    for (const e of every("*"))
      for (const { name } of [...e.attributes])
        if (/^(data-|on)|^(border|align|valign|tabindex|version)$/.test(name) && !e.closest("svg, math")) e.removeAttribute(name);
    every("[role='doc-biblioentry']").forEach((e) => e.removeAttribute("role"));  // a checker of e-books calls it outdated
    every("p").filter((e) => !e.firstChild).forEach((e) => e.remove());
  }

  function addresses() {
    for (const link of every("a[href]")) {
      const at = new URL(link.getAttribute("href"), location.href);
      if (!at.href.startsWith(wish.root)) {
        link.setAttribute("href", at.href);  // as a URL is written: an identifier of an article may hold < and >
        continue;
      }
      const page = decodeURIComponent((at.origin === "null" ? "file://" + at.pathname : at.origin + at.pathname).slice(wish.root.length));
      const place = wish.places[page];
      link.setAttribute("href", place === undefined ? wish.site + page + at.hash : anchored(place, at.hash.slice(1)));
    }
    return every("img[src]").map((image) => {
      const at = new URL(image.getAttribute("src"), location.href).href.split("?")[0];
      if (!at.startsWith("data:")) image.setAttribute("src", "images/" + at.split("/").pop());
      image.removeAttribute("loading");
      return at;
    });
  }

  const anchored = (place, id) => place.startsWith("#") ? place + (id ? "--" + id : "") : place + (id ? "#" + id : "");

  function ids() {
    const seen = new Set();
    for (const e of every("[id]")) {
      const id = wish.prefix ? wish.prefix + "--" + e.id : e.id;
      seen.has(id) ? e.removeAttribute("id") : (e.id = id, seen.add(id));
    }
    if (wish.prefix)
      for (const e of every("use"))
        for (const [space, name] of [[XLINK, "href"], [null, "href"]])
          if (e.hasAttributeNS(space, name)) e.setAttributeNS(space, name, "#" + wish.prefix + "--" + e.getAttributeNS(space, name).slice(1));
  }

  diagrams(); formulas(); pictures(); unfold(); strip();
  const images = addresses();
  ids();
  const body = make("section", "page", [...article.childNodes]);
  if (wish.prefix) body.id = wish.prefix;
  const heads = [...body.querySelectorAll("h1, h2")].map((e) => [e.tagName, e.textContent.trim(), (e.closest("[id]") || e).id]);
  const style = document.querySelector("#MJX-SVG-styles");
  return {
    xhtml: new XMLSerializer().serializeToString(body),
    images: images.filter((at) => at.startsWith(wish.root)).map((at) => decodeURIComponent(at.slice(wish.root.length))),
    heads,
    style: style ? style.textContent : "",
    uses: { mathml: !!body.querySelector("math"), svg: !!body.querySelector("svg") },
  };
}

"""A page that shows one figure with a minimal model."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest

PAGE = """<!doctype html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8"><title>figure</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{css}</style>
<style>body{{margin:8px;background:{background}}}</style></head>
<body><main><div id="host"></div></main></body></html>"""

MOUNT = """async ({esm, state, data}) => {
  const raw = Uint8Array.from(atob(data), c => c.charCodeAt(0));
  const values = {...state, data: new DataView(raw.buffer)}, heard = {};
  window.saved = 0;
  window.model = {
    get: k => values[k],
    set: (k, v) => { if (values[k] === v) return; values[k] = v; (heard["change:" + k] || []).forEach(f => f()); },
    on: (e, f) => { (heard[e] = heard[e] || []).push(f); },
    off: (e, f) => { heard[e] = (heard[e] || []).filter(g => g !== f); },
    save_changes: () => { window.saved += 1; },
    heard,
  };
  const module = await import(URL.createObjectURL(new Blob([esm], {type: "text/javascript"})));
  window.stop = await module.default.render({model: window.model, el: document.getElementById("host")});
  await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Any]]:
    """Return ``show(figure, theme="light", width=700)``: a page with the figure; requests elsewhere fail the test."""
    contexts, outside, errors = [], [], []

    def answer(route: Any) -> None:
        outside.append(route.request.url)
        route.abort()

    def open_page(figure: Any, *, theme: str = "light", width: int = 700, touch: bool = False) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, has_touch=touch, reduced_motion="reduce"
        )
        contexts.append(context)
        context.route("http*://**", answer)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        background = {"light": "#ffffff", "dark": "#121212"}[theme]
        page.set_content(PAGE.format(theme=theme, css=figure._css, background=background))
        state = {k: v for k, v in figure.get_state().items() if k != "data" and not k.startswith("_") and k != "layout"}
        data = base64.b64encode(figure.data).decode()
        page.evaluate(MOUNT, {"esm": figure._esm, "state": state, "data": data})
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not outside
    assert not errors

// Runs before any widget is drawn.
(function () {
  // RequireJS finds the local copies, whatever the depth of the page. The widget manager brings its own modules and asks
  // for icon fonts beside the place of each, so those places are said too.
  var here = document.currentScript.src.replace(/[^\/]*(\?.*)?$/, "");
  window.requirejs.config({
    paths: {
      anywidget: here + "vendor/anywidget",
      "@jupyter-widgets/base": here + "vendor/fonts/base",
      "@jupyter-widgets/controls": here + "vendor/fonts/controls",
      "@jupyter-widgets/html-manager": here + "vendor/fonts/html-manager",
      "@jupyter-widgets/html-manager/dist/libembed-amd": here + "vendor/fonts/libembed-amd",
    },
  });
  // The widget manager speaks to MathJax 2 when it sets a label; MathJax 3 has another name for the same thing.
  var mathjax = window.MathJax;
  function withHub(value) {
    if (value && !value.Hub) {
      value.Hub = {
        Queue: function (job) {
          var typeset = window.MathJax && window.MathJax.typesetPromise;
          if (job && job[0] === "Typeset" && typeset) return typeset([job[2]]);
        },
      };
    }
    return value;
  }
  Object.defineProperty(window, "MathJax", {
    configurable: true,
    get: function () { return mathjax; },
    set: function (value) { mathjax = withHub(value); },
  });
  mathjax = withHub(mathjax);
})();

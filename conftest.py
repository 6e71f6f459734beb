"""For all tests, of the package and of the notebooks.

Notebooks are executed once and judged twice: by nbval (text) and by ours (pictures, widgets, alt texts, budget).
Hypothesis tries the same examples every time and asserts no time: a busy machine fails no test.
"""

from hypothesis import settings

pytest_plugins = ["tests.tutorials.judged"]

settings.register_profile("weightlore", deadline=None, derandomize=True)
settings.load_profile("weightlore")

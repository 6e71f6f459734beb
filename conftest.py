"""For all tests, of the package and of the notebooks.

Notebooks are executed once and judged twice: by nbval (text) and by ours (pictures, widgets, alt texts, budget).
Hypothesis tries the same examples every time and asserts no time: a busy machine fails no test.
"""

import pytest
from hypothesis import settings

settings.register_profile("weightlore", deadline=None, derandomize=True)
settings.load_profile("weightlore")


def pytest_configure(config: pytest.Config) -> None:
    """Let our judge in where nbval runs notebooks; other tests do not wait for all that it imports."""
    if config.getoption("nbval", default=False):
        config.pluginmanager.import_plugin("tests.tutorials.judged")

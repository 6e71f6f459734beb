"""Notebooks are executed once and judged twice: by nbval (text) and by ours (pictures, widgets, alt texts, budget)."""

pytest_plugins = ["tests.tutorials.judged"]

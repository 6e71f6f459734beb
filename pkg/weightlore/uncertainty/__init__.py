"""How sure a prediction is, and whether that is honest: containers of predictions; everything else is in the sub-packages.

The names of the sub-package, one line each. ``coverage.csv`` lists every entry of the survey with its objects, test and notebook.
"""

"""Tables that compare methods: out-of-domain inputs, rejected predictions, shifts, costs, families.

The names of the sub-package, one line each.
"""

"""Workloads that this package and its peers do side by side; ``python -m benchmarks`` runs them on one thread."""

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"  # before torch is imported

# `make book` and `make test` are all that a reader needs; both need only Python >= 3.11 and make.
# Every target says what it does in the line that `make help` prints.

# The newest of these that is 3.11 or later; name another with `make book PY=/path/to/python`.
PY ?= $(firstword $(foreach p,python3.13 python3.12 python3.11 python3 python,$(shell \
  command -v $(p) >/dev/null 2>&1 && $(p) -c 'import sys; sys.version_info >= (3, 11) and print("$(p)")' 2>/dev/null)))
# uv installs; `make book UV=none` installs with pip instead, as happens by itself where uv cannot be had.
UV ?= $(shell command -v uv 2>/dev/null || echo .venv/bin/uv)
# uv does not read pip's setting for a folder of local wheels.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

BIN := .venv/bin
READY := .venv/.ready
VENDOR := book/_static/vendor/.ready
HTML := _build/html/index.html
BOOK_SOURCES := $(shell find book tutorials benchmarks/results -name .ipynb_checkpoints -prune -o -path book/_static/vendor -prune \
  -o -type f ! -name '*.pyc' -print 2>/dev/null) $(shell find pkg -name '*.py' -o -name '*.js' -o -name '*.css') \
  $(wildcard _config.yml _toc.yml *.md)
PYTEST := $(BIN)/python -m pytest
# Notebooks are compared, cell by cell, with the outputs that are stored in them.
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout 600 $(addprefix --nbval-sanitize-with ,$(wildcard tests/sanitize.cfg))
PARALLEL := -n 2 --dist loadscope

# One thread each: two test processes then fit two cores, and sums have one order.
export OMP_NUM_THREADS ?= 1
export MKL_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help book release test test-fast test-portable lab bench peers claims mutants student instructor slides check lock clean env vendor

help: ## say what the other targets do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

book: $(HTML) ## make the environment and the book, and say where the book lies
	@echo "The book lies at file://$(abspath $(HTML)); it can be read with the network off."

release: $(HTML) ## make what a reader takes along: the book as a zip, a PDF of each chapter, an EPUB
	@rm -rf _build/release
	$(BIN)/python book/_ext/release.py _build/html _build/release

test: $(READY) $(VENDOR) ## make the environment and run every test: package, contracts, notebooks, book
	$(PYTEST) $(PARALLEL) $(NBVAL) tests tutorials

test-fast: $(READY) ## test the package only, without what is slow (under five minutes)
	$(PYTEST) -q $(PARALLEL) -m "not slow and not book and not browser" tests

test-portable: $(READY) ## run the notebooks again as an older processor would: the same text must appear
	ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE ONEDNN_MAX_CPU_ISA=SSE41 \
	  $(PYTEST) -q $(PARALLEL) $(NBVAL) tutorials $(wildcard tests/tutorials)

lab: $(READY) ## open the tutorials in JupyterLab
	$(BIN)/jupyter lab tutorials

bench: $(HTML) ## measure speed against the peers and write benchmarks/results
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.redraw

peers: $(READY) ## install other people's implementations, which some tests and benchmarks compare with
	@sed '/^setuptools==/d' requirements.lock > .venv/.peers  # brevitas needs an older setuptools than the lock has
	@$(call install,-c .venv/.peers -e .[peers])

claims: $(READY) ## measure every claim of the ledger anew (long; goes on where it stopped)
	$(BIN)/python -m tests.claims

student: $(READY) ## cut the tutorials without their solutions, into _build/student
	@rm -rf _build/student
	$(BIN)/weightlore notebooks edition student

instructor: $(READY) ## cut the tutorials with every answer and what the checkers know, into _build/instructor
	@rm -rf _build/instructor
	$(BIN)/weightlore notebooks edition instructor

slides: $(READY) $(VENDOR) ## make slides of the tutorials that need no network, into _build/slides
	@rm -rf _build/slides
	$(BIN)/weightlore notebooks edition slides

mutants: $(READY) ## see whether the tests of the functional cores notice small changes (long; goes on where it stopped)
	$(BIN)/python tests/mutate.py --cores --most 10

check: $(READY) $(HTML) ## check style, types, spelling and the links between pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/codespell pkg book tests tutorials benchmarks *.md *.yml *.toml Makefile
	$(BIN)/python book/_ext/links.py _build/html

lock: $(READY) ## choose the exact versions anew, from pyproject.toml
	$(BIN)/python -m pip install -q uv
	{ sed -n '/^#/p' requirements.lock; \
	  echo "torch==2.13.0" | env -u UV_FIND_LINKS -u PIP_FIND_LINKS $(BIN)/uv pip compile -q --universal --python-version 3.11 --upgrade \
	    --extra dev --extra fast --no-annotate --no-header --no-emit-index-url --constraint - pyproject.toml \
	  | grep -vE '^(nvidia-|cuda-|triton)'; } > requirements.lock.new
	mv requirements.lock.new requirements.lock

clean: ## remove the built book and every cache, keep the environment
	rm -rf _build dist build .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

env: $(READY)
vendor: $(VENDOR)

# --- what the targets above are made from -------------------------------------------------------------------------

# $(call install,ARGUMENTS): with uv, fetched by pip where the machine has none; with pip alone where that fails.
define install
if [ "$(UV)" != none ] && { command -v "$(UV)" >/dev/null || $(BIN)/python -m pip install -q uv; }; \
then "$(UV)" pip install -q --python $(BIN)/python $(1); \
else echo "uv cannot be had here; installing with pip (slower)"; $(BIN)/python -m pip install -q $(1); fi
endef

$(READY): requirements.lock pyproject.toml
	@test -n "$(PY)" || { echo "No Python >= 3.11 found. Install one, or name it: make book PY=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || $(PY) -m venv .venv || { rm -rf .venv; \
	  echo "$(PY) cannot make an environment. On Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Installing the environment into .venv (about 2 GB; a minute or two the first time) ..."
	@$(call install,-r requirements.lock -e .)
	@touch $@

# JavaScript of others is fetched at pinned versions with checked hashes; never from a page, never committed.
$(VENDOR): book/_ext/vendor.json book/_ext/vendor.py $(READY)
	$(BIN)/python book/_ext/vendor.py
	@touch $@

# A changed file under _static is copied by a clean build only, so the old pages go first.
$(HTML): $(READY) $(VENDOR) $(BOOK_SOURCES)
	@rm -rf _build/html _build/.doctrees; mkdir -p _build
	@echo "Building the book ..."
	@$(BIN)/jupyter-book build . -q -W --keep-going > _build/book.log 2>&1 || { cat _build/book.log >&2; exit 1; }

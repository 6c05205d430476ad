# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo_run
INSTALLED := $(VENV)/.installed
# A worker for each core, one thread for each worker; the tests of one file share what they set up, and go in the order that
# tests/conftest.py gives them.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -q -n auto --dist loadfile --no-loadscope-reorder

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-all check check-style docs clean

# Train on the bundled sample with the bundled SAM, offline, then compare and report.
demo: $(INSTALLED)
	rm -rf $(DEMO)
	$(BIN)/ringsam train src/ringsam/assets/sample/train --out $(DEMO)
	$(BIN)/ringsam evaluate $(DEMO) src/ringsam/assets/sample/test
	$(BIN)/ringsam report $(DEMO)

# The quick tests, some minutes; then everything that this machine can test.
test: $(INSTALLED)
	$(PYTEST) -m "not slow"

test-all: $(INSTALLED)
	$(PYTEST)

# Before every commit: style, types, floors, fast tests.
check: check-style
	$(PYTEST) -m "not slow"

check-style: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The pages, complete in site/: open site/index.html, no server or network needed.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev,docs]"
	touch $@

clean:
	rm -rf $(VENV) $(DEMO) site

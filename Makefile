# Two commands for newcomers: `make demo` and `make test`. Both can be repeated at will.
#
# PYTHON=python3.12 make demo                 uses another interpreter
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make demo
#                                             takes PyTorch's small CPU build (Linux)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PACKAGE := $(VENV)/.package
DEV := $(VENV)/.dev

.PHONY: help demo test format clean

help:
	@echo "make demo     fit models on real flights and film reviews, write runs/demo/report.html"
	@echo "make test     ruff, mypy and pytest"
	@echo "make format   ruff format, and the lint fixes that ruff can make by itself"
	@echo "make clean    remove the virtual environment, runs and caches"

demo: $(PACKAGE)
	$(BIN)/tabtext demo --out runs/demo

test: $(DEV)
	@echo "==> ruff"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@echo "==> mypy"
	$(BIN)/mypy
	@echo "==> pytest"
	$(BIN)/python -m pytest -n auto --dist worksteal

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) runs build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "tabtext needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "==> creating $(VENV)"
	$(PYTHON) -m venv $(VENV)

$(PACKAGE): pyproject.toml constraints.txt | $(BIN)/python
	@echo "==> installing tabtext into $(VENV) (a minute or two the first time)"
	$(PIP) --editable .
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	@echo "==> installing tabtext and its development tools into $(VENV)"
	$(PIP) --editable '.[dev]'
	@touch $(PACKAGE) $@

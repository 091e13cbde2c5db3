# make demo: the main job on the bundled ethanol model, ending in demo/report.html
# make test: the tests; make lint: style and types; make docs: the documentation site
# Packages are installed once, by the first target that needs them; after that everything works offline.
# PIP_FLAGS is passed to pip, as in: make demo PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP_FLAGS ?=
PIP_INSTALL = $(BIN)/python -m pip install --quiet $(PIP_FLAGS) -c constraints.txt
MOLECULE := ethanol
REFERENCE := ethanol-nvt-300K

.PHONY: demo test lint format docs clean
.DELETE_ON_ERROR:

demo: $(VENV)/.package
	rm -rf demo
	OMP_NUM_THREADS=1 $(BIN)/forcefree simulate trajcast-ethanol $(MOLECULE) --ensemble nvt --temperature 300 --duration 50ps --replicas 32 \
	  --equilibration 2ps --thermostat-time 100fs --save-every 4fs --seed 1 --output demo/traj.h5
	$(BIN)/forcefree analyze demo/traj.h5 --against $(REFERENCE) --workers 2 --output demo
	@echo "The report lies in $(CURDIR)/demo/report.html"

test: $(VENV)/.development
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.development
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.development
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) demo site .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.package: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "forcefree needs Python 3.11 or later; set PYTHON")'
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -e .
	touch $@

$(VENV)/.development: $(VENV)/.package
	$(PIP_INSTALL) -e '.[dev]'
	touch $@

# make demo   the main job on an embedded data set, from nothing
# make test   the tests, from nothing
# make gpu    what a CUDA machine has to tell, as a table
PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY ?= PASSIVE
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test slow gpu lint types settings wheel clean

demo: .venv/installed
	$(BIN)/snntx demo

test: .venv/installed-dev
	$(BIN)/python -m pytest --numprocesses 2

slow: .venv/installed-dev
	$(BIN)/python -m pytest -m slow --numprocesses 2

# what only a CUDA machine can tell; installs nothing, and reaches for no network
gpu:
	$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) benchmarks/on_gpu.py $(GPU)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo

# mypy wants the package under its own name, which the checkout's folder need not have
types: .venv/installed-dev
	mkdir -p .types && ln -sfn .. .types/snntx
	MYPYPATH=.types $(BIN)/mypy -p snntx

# the page of all settings, from their declarations
settings: .venv/installed
	$(BIN)/snntx settings --markdown > docs/settings.md.new
	mv docs/settings.md.new docs/settings.md

wheel: .venv/installed-dev
	rm -rf build dist
	$(BIN)/python -m pip --disable-pip-version-check wheel --quiet --no-deps --wheel-dir dist .
	rm -rf build

clean:
	rm -rf .venv .types build dist snntx.egg-info

.venv/installed: pyproject.toml constraints.txt setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) --editable ".[dev]"
	touch $@

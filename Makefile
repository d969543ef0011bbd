# The whole project's commands; `make help` lists them. PYTHON picks the interpreter that .venv is made from (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip compiles on one core only; `setup` does it on all.
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile
# Where this is set (as in many images), each command and each process of the tests would compile its modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run demo pictures check test kills chaos soak snapshots fuzz mutants bench lint docs lock

# A line `## name: what it does` stands above every target.
## help: prints the targets
help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

## setup: installs everything into .venv, from the lock
setup: $(VENV)/.complete

# The pip that Python brings along may be old and then takes twice as long, so the lock's own one comes first.
$(VENV)/.complete: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	sed -n '/^pip==/,/# via/p' requirements-dev.lock >$(VENV)/pip.lock
	$(PIP) --require-hashes --requirement $(VENV)/pip.lock
	$(PIP) --require-hashes --requirement requirements-dev.lock
	$(PIP) --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib securechain_ingest
	touch $@

## run: starts the daemon, with stores of its own where none are configured
run: setup
	$(BIN)/securechain-ingest run

## demo: a made registry with advisories, a daemon and its page, with packages in the graph; asks no public host
demo: setup
	$(BIN)/python -m tests.demo

## pictures: takes the README's pictures of the page anew, in Debian's Chromium
pictures: setup
	$(BIN)/python -m tests.demo.pictures

## lint: style and types
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers auto

## check: style, types and the tests that start no server, for the minutes between two edits
check: lint
	$(BIN)/pytest -q -m "not slow" --hypothesis-profile quick $(PARALLEL)

# Each process of tests has servers of its own (tests/distribution.py). Many tests wait for other processes: three keep
# two processors busy. WORKERS=0: one process.
WORKERS ?= 3
PARALLEL = --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
## test: style, types and all tests, against real servers
test: lint
	$(BIN)/pytest $(PARALLEL)

ROUNDS ?= 100
SEED ?= $(shell date +%s)
## kills: kills daemons at random, ROUNDS times; SEED repeats a run
kills: setup
	$(BIN)/pytest -m kills --kill-rounds $(ROUNDS) --kill-seed $(SEED)

MESSAGES ?= 3000
MINUTES ?= 0
## chaos: lets everything fail at random while MESSAGES messages are served, MINUTES at least; SEED repeats a run
chaos: setup
	$(BIN)/pytest -m chaos --chaos-messages $(MESSAGES) --chaos-minutes $(MINUTES) --chaos-kills 0 --chaos-seed $(SEED)

HOURS ?= 3
RATE ?= 5
## soak: looks for HOURS whether memory and descriptors stay flat under RATE messages a second; SEED repeats a run
soak: setup
	$(BIN)/pytest tests/soak -m soak --capture no --soak-hours $(HOURS) --soak-rate $(RATE) --soak-seed $(SEED) --soak-folder .soak

PACKAGES ?= 10000
## snapshots: moves an installation with PACKAGES packages by a snapshot while its daemon writes; SEED repeats it
snapshots: setup
	$(BIN)/pytest tests/snapshot/test_moving_an_installation.py --snapshot-packages $(PACKAGES) --snapshot-seed $(SEED)

FUZZ_SECONDS ?= 60
## fuzz: looks for bytes that a reader does not bear, FUZZ_SECONDS a reader; SEED repeats a search
fuzz: setup
	FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_SEED=$(SEED) $(BIN)/pytest tests/fuzz --timeout 0

# Changes COUNT lines of the queue's rooms, one at a time, and tells which changes no test notices; about half a minute
# each. SEED draws the same ones again, and goes on where a run of the same tree was interrupted.
COUNT ?= 200
## mutants: changes COUNT lines of the queue, one at a time, and tells which changes no test notices
mutants: setup
	$(BIN)/python -m tests.mutants --seed $(SEED) --count $(COUNT)

# Prints the figures; takes some minutes, wants a machine that does nothing else, and Java and Maven for a real Neo4j.
## bench: prints the figures of benchmarks/README.md
bench: setup
	$(BIN)/python -m benchmarks.packages
	$(BIN)/python -m benchmarks.writes
	$(BIN)/python -m benchmarks.import_names
	$(BIN)/python -m benchmarks.rust_names
	$(BIN)/python -m benchmarks.wheel_bytes
	$(BIN)/python -m benchmarks.event_loop_lag
	$(BIN)/python -m benchmarks.big_package
	$(BIN)/python -m benchmarks.popular_package
	$(BIN)/python -m benchmarks.simulated_day
	$(BIN)/python -m benchmarks.first_load
	$(BIN)/python -m benchmarks.known_names
	$(BIN)/python -m benchmarks.follow_lag
	$(BIN)/python -m benchmarks.overtaking
	$(BIN)/python -m benchmarks.lanes
	$(BIN)/python -m benchmarks.page
	$(BIN)/python -m benchmarks.maven_index
	$(BIN)/python -m benchmarks.find

## docs: writes the pages of docs/ that are made from the code
docs: setup
	$(BIN)/python -m tests.reference

# Writes both lock files anew: hashes, no index addresses.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
## lock: writes both lock files anew
lock: setup
	$(LOCK) pyproject.toml --output-file requirements.lock
	$(LOCK) --all-extras pyproject.toml --output-file requirements-dev.lock

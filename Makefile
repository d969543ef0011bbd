# The whole project's commands. PYTHON picks the interpreter that .venv is made from (3.11 or newer).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: setup run test soak chaos fuzz mutants bench lint lock

setup: $(VENV)/.complete

$(VENV)/.complete: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

run: setup
	$(BIN)/securechain-ingest run

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/pytest

# Kills daemons at random, 100 times or ROUNDS; SEED repeats a run.
ROUNDS ?= 100
SEED ?= $(shell date +%s)
soak: setup
	$(BIN)/pytest -m soak --soak-rounds $(ROUNDS) --soak-seed $(SEED)

# Kills daemons, parsers and stores and cuts connections at random while MESSAGES messages are served; SEED repeats it.
MESSAGES ?= 3000
chaos: setup
	$(BIN)/pytest -m chaos --chaos-messages $(MESSAGES) --chaos-kills 0 --chaos-seed $(SEED)

# Looks for what no reader of foreign bytes bears, for so many seconds a reader; SEED repeats a search.
FUZZ_SECONDS ?= 60
fuzz: setup
	FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_SEED=$(SEED) $(BIN)/pytest tests/fuzz --timeout 0

# Changes COUNT lines of the queue's rooms, one at a time, and tells which changes no test notices; about half a minute
# each. SEED draws the same ones again, and goes on where a run of the same tree was interrupted.
COUNT ?= 200
mutants: setup
	$(BIN)/python -m tests.mutants --seed $(SEED) --count $(COUNT)

# Prints the figures; takes some minutes, wants a machine that does nothing else, and Java and Maven for a real Neo4j.
bench: setup
	$(BIN)/python -m benchmarks.packages
	$(BIN)/python -m benchmarks.import_names
	$(BIN)/python -m benchmarks.wheel_bytes
	$(BIN)/python -m benchmarks.event_loop_lag
	$(BIN)/python -m benchmarks.big_package
	$(BIN)/python -m benchmarks.simulated_day
	$(BIN)/python -m benchmarks.known_names
	$(BIN)/python -m benchmarks.overtaking
	$(BIN)/python -m benchmarks.maven_index

# Writes both lock files anew: hashes, no index addresses.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
lock: setup
	$(LOCK) pyproject.toml --output-file requirements.lock
	$(LOCK) --all-extras pyproject.toml --output-file requirements-dev.lock

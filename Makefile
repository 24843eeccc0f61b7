# make demo     the whole thing at work in about a minute: needs Python 3.11+ and nothing else
# make test     what has to pass before a change is merged (its Kafka tests need Java 17 and Maven, those with a
#               browser Chromium, and skip without)
# make lint     the part of it that runs in seconds
# make faults   crashes on purpose, longer than in `make test`: make faults KILLS=1000
# make crash-matrix each part of a cluster killed, paused, cut off: make crash-matrix KILLS=100 (needs Java and Maven)
# make simulate random histories of the cluster's protocols: make simulate SEEDS=1000000
# make properties the tests with generated examples, at random: keeps in .hypothesis what fails
# make fuzz     hostile input, seeded: make fuzz N=1000000 SEED=7 ONLY=frames,reads JOBS=2; one case again: ONLY= SEED= AT=
# make bench    benchmarks beside other trackers, in an environment of their own
# make bench-cluster the same of the cluster form, with Kafka and ClickHouse on this machine
# make clean    removes what these made
#
# Another Python: make PYTHON=python3.12 test

# The first of these that is new enough; `python3` where none is, whose refusal then says what is needed.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && exit; done; echo python3)
KILLS ?= 200
SEEDS ?= 100000
# Cases of `make fuzz`, and what they are made of; ONLY names targets (tests/fuzzing), AT one case.
N ?= 100000
SEED ?= 1
ONLY ?=
AT ?=
# Processes that run tests: three on two cores, because servers and clients wait for a third of the time. The tests of a
# file stay together, because they share servers and training runs.
JOBS ?= 3

BIN := .venv/bin
# Editable, so that both fit into one environment and a change of the sources needs no new installation. A stamp in
# the environment makes a second call return at once; calls in parallel wait for each other.
VENV_DEMO := $(PYTHON) infra/make_venv.py .venv demo
VENV_DEV := $(PYTHON) infra/make_venv.py .venv dev
VENV_BENCH := $(PYTHON) infra/make_venv.py .venv-bench server,data

.PHONY: help demo lint test faults crash-matrix simulate properties fuzz bench bench-cluster clean
.DEFAULT_GOAL := help

help:
	@sed -n '/^#/!q;s/^# \{0,1\}//p' Makefile

demo:
	@$(VENV_DEMO)
	@$(BIN)/runstream demo $(DEMO_ARGS)

lint:
	@$(VENV_DEV)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python infra/page_build.py --check

# Lint runs beside the tests, because mypy takes one core for a minute, and the tests run even if it finds something: one
# call tells everything. What lint says comes in one piece.
test:
	@$(VENV_DEV)
	@status=0; said=$$(mktemp); \
	{ $(MAKE) --no-print-directory lint > $$said 2>&1; code=$$?; cat $$said; rm $$said; exit $$code; } & lint=$$!; \
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations 20 || status=$$?; \
	wait $$lint || status=$$?; \
	exit $$status

faults:
	@$(VENV_DEV)
	KILLS=$(KILLS) RUNSTREAM_KILLS=$(KILLS) $(BIN)/python -m pytest tests/faults tests/conformance/test_store.py \
		tests/integration/test_dev_clickhouse.py tests/integration/test_kafka_ingest.py -s --timeout 86400 \
		--ignore tests/faults/test_cluster_matrix.py

crash-matrix:
	@$(VENV_DEV)
	RUNSTREAM_KILLS=$(KILLS) RUNSTREAM_REQUIRE_KAFKA=1 $(BIN)/python -m pytest tests/faults/test_cluster_matrix.py -s

simulate:
	@$(VENV_DEV)
	RUNSTREAM_SEEDS=$(SEEDS) $(BIN)/python -m pytest -s --timeout 86400 $(addprefix tests/property/test_, \
		claims_model.py generations_model.py worker.py rival_workers.py)

properties:
	@$(VENV_DEV)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m hypothesis --hypothesis-profile search

fuzz:
	@$(VENV_DEV)
	PYTHONPATH=tests $(BIN)/python -m fuzzing --n $(N) --seed $(SEED) --jobs $(JOBS) \
		--only "$(ONLY)" $(if $(AT),--at $(AT))

bench:
	@$(VENV_BENCH) && .venv-bench/bin/python -m bench.peers
	.venv-bench/bin/python -m bench $(BENCH_ARGS)

bench-cluster:
	@$(VENV_DEV)
	$(BIN)/python -m bench.cluster $(BENCH_ARGS)

clean:
	rm -rf .venv .venv-bench .venv-clients demo-out bench-out fuzz-out build dist
	rm -rf infra/kafka/libs* web/node_modules query/runstream_query/page/static*
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

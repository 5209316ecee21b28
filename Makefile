# The commands of this project. Each builds what it needs first; `make` alone lists them.

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench chaos format servers clean

help: ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 10

demo: $(VENV)/.run ## the whole pipeline on this machine, with traffic whose truth is known
	@$(BIN)/siyu demo $(ARGS)

test: $(VENV)/.dev ## all tests; those that need Apache Kafka or ClickHouse say so when they skip
	@$(BIN)/python -m pytest $(or $(ARGS),-n 2 --dist loadfile --no-loadscope-reorder)

lint: $(VENV)/.dev ## ruff, mypy --strict, import directions, schema evolution, generated docs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m schemas.evolution

format: $(VENV)/.dev ## puts the code in its form
	@$(BIN)/ruff check --fix -q .
	@$(BIN)/ruff format -q .

bench: $(VENV)/.dev ## figures of this machine as JSON lines, each beside its floor
	@$(BIN)/python -m bench $(ARGS)

chaos: $(VENV)/.dev ## kills workers, Apache Kafka and ClickHouse under load (20 min), and compares what came out
	@$(BIN)/python -m tests.chaos $(ARGS)

servers: ## Apache Kafka and ClickHouse for the tests (Debian, needs root, Java and Maven)
	@bash deploy/servers.sh

clean: ## removes what the commands built
	@rm -rf build $(VENV)

# A virtual environment from pinned versions only: requirements/*.txt name every package, also indirect ones.
$(VENV)/.run: requirements/run.txt pyproject.toml
	@sh deploy/venv.sh $(PYTHON) $(VENV) requirements/run.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	@sh deploy/venv.sh $(PYTHON) $(VENV) requirements/dev.txt
	@touch $@ $(VENV)/.run

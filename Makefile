# Every target does its own set-up: nothing but Python 3.11+ and make is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Python compiles what is imported at its first use: to compile all of torch's files takes over a minute.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

.PHONY: demo demo-train test check bench test-llm clean

# Labels the example reports and scores two generators, with the built-in rules, and prints the tables.
demo: $(VENV)/.core
	$(BIN)/label-reports --prompt all examples/icu_reports.csv -o labels.jsonl
	$(BIN)/score-reports examples/predictions.jsonl examples/references.jsonl -o scores/ --subgroups sex,setting
	$(BIN)/score-reports examples/predictions_baseline.jsonl examples/references.jsonl -o scores_baseline/
	$(BIN)/compare-scores scores/ scores_baseline/

# Films, a small report generator trained on a CPU, killed and resumed, its reports and their scores.
demo-train: $(VENV)/.train
	rm -rf demo_train
	$(BIN)/python -m llava.demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest

# Lint, format, types and layers.
check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

# A real language model through a real server, in an environment of its own (some 3 GB).
test-llm: $(VENV)/.dev
	tests/llm/setup.sh
	CARINA_LLM=1 $(BIN)/python -m pytest tests/llm -m llm

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e .
	touch $@

$(VENV)/.train: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e '.[train]'
	touch $@ $(VENV)/.core

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) -e '.[dev]'
	touch $@ $(VENV)/.core $(VENV)/.train

clean:
	rm -rf $(VENV) .venv-llm .carina build *.egg-info

# One word each. Everything runs in .venv, which is made here from nothing but python3 (3.11 or newer).

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv

.PHONY: help demo test check notebooks playbooks docs bench calibrate samples lock clean

help:  ## Say what each word does
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

$(UV):
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

.venv/.run: $(UV) requirements.lock pyproject.toml
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/python -m compileall -q rcakit
	@touch $@

.venv/.dev: .venv/.run requirements-dev.lock
	$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

demo: .venv/.run  ## Run one investigation on the sample data
	$(BIN)/rcakit demo

test: .venv/.dev  ## Run the whole test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

check: .venv/.dev  ## Format, lint, types, layers, spelling, notebooks without outputs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell
	$(BIN)/nbstripout --keep-id --verify playbooks/*.ipynb

notebooks: .venv/.dev  ## Compare the tutorials with a fresh run
	$(BIN)/python -m pytest --nbval --nbval-sanitize-with rcakit/nbval_sanitiser.cfg -p no:xdist -o addopts="" notebooks

playbooks: .venv/.dev  ## Run the shipped playbooks over the scenarios that they declare
	$(BIN)/python -m benchmarks.playbook_scenarios

docs: .venv/.dev  ## Build the documentation into docs/_build
	$(BIN)/sphinx-build --quiet --fail-on-warning docs docs/_build

bench: .venv/.dev  ## Measure, and write benchmarks/results
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.pages
	$(BIN)/python -m benchmarks.spikes_room
	$(BIN)/python -m benchmarks.spikes_quality rcakit
	$(BIN)/python -m benchmarks.spikes_calibration
	$(BIN)/python -m benchmarks.spikes_speed
	$(BIN)/python -m benchmarks.spikes_tweets
	$(BIN)/python -m benchmarks.spikes_many
	$(BIN)/python -m benchmarks.noufaily_scenarios run
	$(BIN)/python -m benchmarks.drivers_counts
	$(BIN)/python -m benchmarks.drivers_rates
	$(BIN)/python -m benchmarks.drivers_discoveries
	$(BIN)/python -m benchmarks.drivers_coverage
	$(BIN)/python -m benchmarks.drivers_strength
	$(BIN)/python -m benchmarks.drivers_names
	$(BIN)/python -m benchmarks.drivers_amounts
	$(BIN)/python -m benchmarks.drivers_stalls
	$(BIN)/python -m benchmarks.drivers_notices
	$(BIN)/python -m benchmarks.drivers_pipeline
	$(BIN)/python -m benchmarks.drivers_forms
	$(BIN)/python -m benchmarks.drivers_rivals
	$(BIN)/python -m benchmarks.drivers_cost
	$(BIN)/python -m benchmarks.playbook_verdicts
	$(BIN)/python benchmarks/speed_cohorts_quality.py > benchmarks/results/speed_cohorts_quality.md
	$(BIN)/python benchmarks/calibrate_cohorts.py --repeats 600 > benchmarks/results/calibration_cohorts.md
	$(BIN)/python benchmarks/calibrate_quality.py --repeats 400 > benchmarks/results/calibration_quality.md
	$(BIN)/python benchmarks/rings_accuracy.py report > benchmarks/results/rings_accuracy.md
	$(BIN)/python benchmarks/rings_speed.py > benchmarks/results/rings_speed.md
	$(BIN)/python -m benchmarks.faults
	$(BIN)/python -m benchmarks.batch_kill
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.experiments_reference
	$(BIN)/python -m benchmarks.experiments_verdicts
	$(BIN)/python -m benchmarks.experiments_speed
	$(BIN)/python -m benchmarks.experiments_calibration

calibrate: .venv/.dev  ## Run the long calibrations
	$(BIN)/python -m pytest -m slow

samples: .venv/.run  ## Make data_samples anew
	$(BIN)/python -m rcakit.datasets data_samples

lock: $(UV)  ## Resolve the dependencies anew
	$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock
	$(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev --group docs --extra did --extra excel --extra lab --extra notify -c requirements.lock -o requirements-dev.lock

clean:  ## Remove the environment and all that was built
	rm -rf .venv dist docs/_build reports

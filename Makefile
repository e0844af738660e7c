# Two commands on a fresh machine with Python 3.11+ and make: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
.DEFAULT_GOAL := help
.PHONY: help run demo test test-fast lint picture bench gpu-check slurm-up slurm-down slurm-scale check-remotes clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

PROFILE := config/profiles/local

# Made when missing, remade when the dependencies change, reused otherwise.
$(VENV)/installed: pyproject.toml constraints.txt
	PYTHON=$(PYTHON) sh containers/install.sh $(VENV)
	touch $@

run: $(if $(CONFIG),$(VENV)/installed) ## run a config: make run CONFIG=config/demo.yaml [ARGS="TARGET -n"] [PROFILE=config/profiles/slurm]
	$(if $(CONFIG),,$(error prelude: name a config: make run CONFIG=config/demo.yaml))
	$(BIN)/snakemake $(ARGS) --profile $(PROFILE) --configfile $(CONFIG) --quiet rules

# A second thread trains a network as narrow as the demo's only 1.2 times as fast, so pre-training starts first, with half
# of the cores, and other jobs use the rest.
SHARES = $(shell $(PYTHON) -c "import os; half = max(1, (len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1) // 2); \
	print(*(f'{rule}={half}' for rule in ('acquire', 'prepare', 'audit', 'extract', 'pretrain')))")

demo: $(VENV)/installed ## run the whole path on synthetic data and show the tables
	$(BIN)/snakemake --profile config/profiles/local --configfile config/demo.yaml --set-threads $(SHARES) \
		--prioritize pretrain_all --quiet rules
	$(BIN)/python -m workflow_scripts.show --manifest results/demo/statistics/plan.json --statistics results/demo/statistics --report results/demo/report/index.html

test: $(VENV)/installed ## run all tests
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

test-fast: $(VENV)/installed ## run the tests that are not slow
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not slow"

lint: $(VENV)/installed ## check format, style, types and which module may import which
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed ## measure speed as ratios to anchors: make bench [ARGS="--compare OLD.json"]; minutes
	$(BIN)/python -m tests.benchmarks $(ARGS)

gpu-check: $(VENV)/installed ## check a GPU in ten minutes: results, speed, memory (without one: what would be measured)
	$(BIN)/python -m tests.benchmarks.gpu_check

slurm-up: $(VENV)/installed ## start a SLURM of one node with two fake GPUs here (root; Debian's packages)
	$(BIN)/python -m tests.cluster.slurm up

slurm-down: $(VENV)/installed ## stop it, with its jobs
	$(BIN)/python -m tests.cluster.slurm down

slurm-scale: $(VENV)/installed ## run 1,000 cheap jobs with faults through SLURM and print a report (an hour on two cores)
	$(BIN)/python -m tests.cluster.scale --jobs 1000

check-remotes: $(VENV)/installed ## ask every address of data sets for its headers: what answers, with sizes
	$(BIN)/python -m workflow_scripts.check_remotes $(if $(CONFIG),--configfile $(CONFIG))

picture: ## copy the figure of the last demo into the README
	cp results/demo/figures/wu2021_fig2.png docs/images/demo.png

clean: ## remove the environment, results and twins (not your data)
	rm -rf $(VENV) results/demo results/demo_clmr results/demo_separation results/smoke data/demo data/demo_separation data/smoke .snakemake

# All that a fresh machine needs is Python 3.11 or newer: pip brings the rest into .venv.
#
#   make quickstart   render manifests/quickstart.yaml and say where the pictures are
#   make test         run the tests in two processes;  ARGS='-k sqrtm' passes options to pytest, ARGS='-n 0' goes
#                     without others, FAIL_ON_SKIP=1 makes a skipped test a failed one
#   make test-faults  kill, stop and cut off a farm's parts while it renders, and write docs/faults.md; on PostgreSQL,
#                     which has to be installed; FAULTS_DATABASE=sqlite goes without
#   make fuzz         feed hostile input of every kind to the program, 10,000 cases each; takes an hour or more
#   make bench        measure speed and memory, and write docs/performance/; quality takes hours and is measured by
#                     python -m tests.bench.quality
#   make gpu          check and measure on a GPU, and write docs/performance/gpu.md; installs nothing: where there is no
#                     .venv, python3 needs torch, numpy, pydantic and safetensors
#   make lint         ruff, mypy, hadolint
#   make venv         only set up .venv, with everything in it
#   make constraints  write constraints.txt anew after a change of pyproject.toml; with ARGS=--upgrade the newest of all
#   make clean        remove .venv and what the tools left behind
#
# Another Python is named by PYTHON=/path/to/python3.12. pip reads its own settings as ever (PIP_INDEX_URL,
# PIP_PROXY, ...); without an NVIDIA GPU a smaller PyTorch, of the same version, comes with
#   PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make quickstart

# Not to be overridden: a stale one is cleared before it is made anew.
override VENV := .venv

# Newer than 3.14 is refused as well: PyTorch 2.14 does not install there.
SUITABLE := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))

# By the environment they reach what pip starts to build a package, too: the second for pip 25.3 and newer.
export PIP_CONSTRAINT := $(strip $(PIP_CONSTRAINT) constraints.txt)
export PIP_BUILD_CONSTRAINT := constraints.txt

.PHONY: help quickstart test test-faults fuzz bench gpu lint venv constraints clean
.NOTPARALLEL:               # two pips in one .venv do not go well

help:
	@sed -n '/^#   make/,/^#$$/s/^#//p' Makefile

quickstart: $(VENV)/.installed
	$(VENV)/bin/styletransfer render manifests/quickstart.yaml
	@echo
	@echo "The contact sheet: file://$(CURDIR)/manifests/renders/quickstart/index.html"

test: $(VENV)/.installed-test
	$(VENV)/bin/python -m pytest -p tests.policy -n 2 $(ARGS)

test-faults: $(VENV)/.installed-test
	$(VENV)/bin/python -m tests.faults $(ARGS)

fuzz: $(VENV)/.installed-test
	$(VENV)/bin/python -m tests.fuzz $(ARGS)

bench: $(VENV)/.installed-test
	$(VENV)/bin/python -m tests.bench.speed
	$(VENV)/bin/python -m tests.bench.memory
	$(VENV)/bin/python -m tests.bench.report
	$(VENV)/bin/python -m tests.bench.roofline

gpu:
	$(or $(PYTHON),$(wildcard $(VENV)/bin/python),python3) -m tests.gpu $(ARGS)

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/hadolint Dockerfile

venv: $(VENV)/.installed-dev

constraints: $(VENV)/.installed-dev
	$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-annotate \
	  --custom-compile-command 'make constraints' $(ARGS) pyproject.toml --output-file constraints.txt

clean:
	rm -rf $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache

# Each stamp is one pip call, so that aiobotocore, botocore, boto3 and moto are resolved together.
# A fuller installation stamps the lesser ones too.
STAMPS := $(VENV)/.installed $(VENV)/.installed-test $(VENV)/.installed-dev
$(VENV)/.installed-test: extras := [test,cluster]
$(VENV)/.installed-test: lesser := $(VENV)/.installed
$(VENV)/.installed-dev: extras := [test,cluster,dev]
$(VENV)/.installed-dev: lesser := $(VENV)/.installed $(VENV)/.installed-test
$(STAMPS): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV). The first time this fetches PyTorch: several GB with CUDA."
	$(VENV)/bin/python -m pip install --editable '.$(extras)'
	@touch $(lesser) $@

$(VENV)/bin/python:
	@for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
	  if $$python -c '$(SUITABLE)' 2>/dev/null; then exec $$python -m venv --clear $(VENV); fi; \
	done; \
	echo "No suitable Python: one from 3.11 to 3.14 is needed, with its venv module." >&2; \
	echo "Found as $(or $(PYTHON),python3): $$($(or $(PYTHON),python3) --version 2>&1)" >&2; \
	echo "On Debian and Ubuntu: apt-get install python3 python3-venv" >&2; \
	echo "One that goes by another name: make PYTHON=/path/to/python3.12 ..." >&2; \
	exit 1

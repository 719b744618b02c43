# Each target works alone on a fresh clone: it finds a Python, makes .venv, installs what is pinned in
# constraints.txt, and runs. PYTHON=... chooses the interpreter, ARGS=... goes to the command.

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-slow test-versions lint docs clean
.DELETE_ON_ERROR:

BIN := .venv/bin
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
CANDIDATES := $(or $(PYTHON),python3.11 python3.12 python3.13 python3 python)
INSTALL := $(BIN)/python -m pip install --quiet --use-pep517 --disable-pip-version-check -c constraints.txt
# What a release of Keras or TensorFlow may change: outputs, training, saving, the exported graph.
VERSION_TESTS := tests/test_private_names.py tests/layers tests/text/test_golden.py tests/text/test_graph.py \
  $(patsubst %,tests/models/test_%.py,golden saving cloning checking precision heads) \
  $(patsubst %,tests/training/test_%.py,optimizers optimizer_contract layer_decay lamb xla) \
  tests/tasks/squad/test_golden.py tests/serving/test_export.py tests/serving/test_export_heads.py

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

quickstart: .venv/installed  ## raw text to a served BERT, in minutes, without a download: the whole chain
	$(BIN)/keras-bert quickstart $(ARGS)

test: .venv/installed  ## the tests, doctests included, but for the slow ones
	$(BIN)/python -m pytest -m "not slow" --numprocesses=logical --maxprocesses=4 --dist=loadfile $(ARGS)

test-slow: .venv/installed .venv/installed-slow  ## the slow tests
	$(BIN)/python -m pytest -m slow --numprocesses=2 --dist=loadfile $(ARGS)

test-versions: build/venv-lowest/installed build/venv-newest/installed  ## tests on the lowest and newest versions allowed
	@for which in lowest newest; do \
	  echo "make: the $$which versions:"; build/venv-$$which/bin/python tests/versions.py installed; \
	  build/venv-$$which/bin/python -m pytest -m "not slow" --durations=20 --numprocesses=logical --maxprocesses=4 \
	    --dist=loadfile $(VERSION_TESTS) $(ARGS) || failed="$$failed $$which"; \
	done; \
	if [ -n "$$failed" ]; then echo "make: test-versions failed on these versions:$$failed" >&2; exit 1; fi

lint: .venv/installed  ## the linter and the formatter's check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: .venv/installed-docs  ## the documentation as a site, API reference included, in build/site
	$(BIN)/python -m mkdocs build --strict

clean:  ## remove the environment, caches, builds and quickstart_output
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis quickstart_output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A candidate counts when it runs (a version manager's shim may not), has the right version and can
# make environments (Debian's python3 may lack ensurepip).
.venv/installed: setup.py constraints.txt
	@found=; if ! $(BIN)/python -c '$(FITS)' 2>/dev/null; then \
	  for python in $(CANDIDATES); do \
	    if "$$python" -c '$(FITS)' 2>/dev/null; then found="$$python"; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "make: needs Python 3.11, 3.12 or 3.13 with venv and ensurepip, and none of '$(CANDIDATES)' is one;" \
	      "install it (Debian, Ubuntu: python3-venv too) or name it with make PYTHON=/path/to/python3.11." >&2; \
	    exit 2; \
	  fi; \
	  echo "make: making .venv with $$("$$found" --version)"; \
	  "$$found" -m venv --clear .venv || exit 2; \
	fi
	@echo "make: installing into .venv; TensorFlow is large, this takes a few minutes"
	@$(INSTALL) -e '.[dev]'
	@touch $@

.venv/installed-docs: .venv/installed
	@$(INSTALL) -e '.[dev,docs]'
	@touch $@

# The lowest versions have wheels for Python 3.11 alone; pip would compile them for others.
build/venv-%/installed: .venv/installed
	@if ! $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
	  echo "make: test-versions needs Python 3.11, and .venv has another;" \
	    "run make clean, then make test-versions PYTHON=python3.11." >&2; \
	  exit 2; \
	fi
	@echo "make: installing the $* versions into build/venv-$*"
	@$(BIN)/python -m venv --clear build/venv-$*
	@if [ $* = lowest ]; then $(BIN)/python tests/versions.py lowest; fi >build/$*.txt
	@build/venv-$*/bin/python -m pip install --quiet --use-pep517 --disable-pip-version-check -c build/$*.txt -e '.[dev]'
	@touch $@

# What the slow tests use besides; those that miss it skip and say so.
.venv/installed-slow: .venv/installed
	@for extra in docs notebooks onnx litert jax beam parity tpu-compile; do \
	  $(INSTALL) -e ".[dev,$$extra]" || failed="$$failed $$extra"; \
	done; \
	if [ -z "$$failed" ]; then touch $@; \
	else echo "make: cannot be installed here:$$failed; the tests that need it will be skipped" >&2; fi

# Each target works alone on a fresh clone: it finds a Python, makes .venv, installs what is pinned in
# constraints.txt, and runs. PYTHON=... chooses the interpreter, ARGS=... goes to the command.

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-slow test-nightly test-versions lint docs clean
.DELETE_ON_ERROR:

BIN := .venv/bin
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
CANDIDATES := $(or $(PYTHON),python3.11 python3.12 python3.13 python3 python)
INSTALL := $(BIN)/python -m pip install --quiet --use-pep517 --disable-pip-version-check -c constraints.txt
# What a release of Keras or TensorFlow may change: outputs, training, saving, the exported graph.
VERSION_TESTS := tests/test_private_names.py tests/layers tests/text/test_golden.py tests/text/test_graph.py \
  $(patsubst %,tests/models/test_%.py,golden saving cloning checking precision heads) \
  $(patsubst %,tests/training/test_%.py,optimizers optimizer_contract layer_decay lamb xla) \
  $(patsubst %,tests/text/test_%.py,bpe graph_bpe sentence_piece graph_sentence_piece kinds graph_kinds) \
  $(patsubst %,tests/tasks/%.py,answer/test_golden answer/test_training glue/test_from_tfds) \
  $(patsubst %,tests/serving/test_%.py,export export_heads kinds) \
  $(patsubst %,tests/families/test_%.py,models rows)
# A file's tests run in one process, for they share what they made; tests/conftest.py says which files begin.
PYTEST_FLAGS := --dist=loadfile --no-loadscope-reorder --durations=25
PYTEST := $(BIN)/python -m pytest $(PYTEST_FLAGS)

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16

quickstart: .venv/installed  ## raw text to a served BERT, in minutes, without a download: the whole chain
	$(BIN)/keras-bert quickstart $(ARGS)

test: .venv/installed  ## the tests, doctests included, except the slow and the nightly ones
	$(PYTEST) -m "not slow and not nightly" --numprocesses=logical --maxprocesses=4 $(ARGS)

test-slow: .venv/installed .venv/installed-slow  ## the slow tests, except the nightly ones
	$(PYTEST) -m "slow and not nightly" --numprocesses=2 $(ARGS)

test-nightly: .venv/installed .venv/installed-nightly  ## what takes minutes and changes rarely: notebooks, TPU compiler, JAX
	$(PYTEST) -m nightly --numprocesses=2 $(ARGS)
	$(MAKE) test-versions

test-versions: build/venv-lowest/installed build/venv-newest/installed  ## tests on the lowest and newest versions allowed
	@for which in lowest newest; do \
	  echo "make: the $$which versions:"; build/venv-$$which/bin/python tests/versions.py installed; \
	  build/venv-$$which/bin/python -m pytest $(PYTEST_FLAGS) -m "not slow and not nightly" --numprocesses=logical \
	    --maxprocesses=4 $(VERSION_TESTS) $(ARGS) || failed="$$failed $$which"; \
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

# What the slow and the nightly tests use besides; those that miss it skip and say so. All at once is much faster; one
# after the other where one of them cannot be installed.
SLOW := docs onnx litert parity
NIGHTLY := $(SLOW) notebooks jax beam tpu-compile
comma := ,
space := $(subst ,, )

.venv/installed-slow: EXTRAS := $(SLOW)
.venv/installed-nightly: EXTRAS := $(NIGHTLY)
.venv/installed-slow .venv/installed-nightly: .venv/installed
	@if ! $(INSTALL) -e '.[dev,$(subst $(space),$(comma),$(EXTRAS))]'; then \
	  for extra in $(EXTRAS); do $(INSTALL) -e ".[dev,$$extra]" || failed="$$failed $$extra"; done; \
	fi; \
	if [ -z "$$failed" ]; then touch $@; \
	else echo "make: cannot be installed here:$$failed; the tests that need it will be skipped" >&2; fi

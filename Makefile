# make run    set up once, then run the main scenario on the embedded reference
# make test   set up once, then lint, type checks and all tests, WORKERS=2 at a time
# make setup  create a virtual environment in .venv with pinned versions
# make tools  on Debian, as root: install the programs that some tests and benchmarks use
# make docs   regenerate the pages that are made from the code
# make prove  run the checks against every mutant and write docs/kill-matrix.md

PYTHON ?= python3
WORKERS ?= 2
BIN := .venv/bin
READY := .venv/.ready

.PHONY: run setup tools test lint fast slow screen docs prove lock clean

run: setup
	@$(BIN)/trueup run

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "trueup needs Python 3.11 or newer; try: make setup PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Setting up .venv (once; about a minute)"
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --quiet --require-hashes -r requirements.lock
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --quiet --no-deps --no-build-isolation --editable .
	@touch $@

tools:
	@PATH="$$PATH:/usr/sbin"; \
	  for program in chromium nats-server nginx squid wrk; do \
	    command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	  command -v danted >/dev/null || missing="$$missing dante-server"; \
	  test -n "$$missing" || exit 0; \
	  echo "Installing$$missing"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
	    --no-install-recommends$$missing >/dev/null

test: lint fast slow

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tools.prose_check

fast: setup
	@$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --dist loadfile

slow: setup
	@$(BIN)/python -m pytest -m slow -n $(WORKERS) --dist loadfile

screen: setup
	@$(BIN)/trueup run --quiet
	@$(BIN)/python -m trueup.scenarios.screen README.md runs/latest

docs: setup
	@$(BIN)/python -m trueup.conformance.docgen.checks_page scenarios/mutation/register.toml
	@$(BIN)/python -m trueup.conformance.docgen.targets_page
	@$(BIN)/python -m tools.layers_table

prove: setup
	@$(BIN)/trueup prove --generated all --combinations all --write docs/kill-matrix.md
	@$(BIN)/trueup prove --proxies --write docs/kill-matrix-proxies.md

lock:
	uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	  --no-emit-index-url --generate-hashes --all-extras --group dev \
	  pyproject.toml -o requirements.lock

clean:
	rm -rf .venv runs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Every target works in a fresh clone, as root or not, from a path with spaces: nothing here is absolute.
# make PYTHON=/path/to/python3.12 ... names the Python to start from; ARGS="..." goes to the program of the target.

SHELL := /bin/sh
PY := .venv/bin/python
# Both cores of a small machine. What stays together on one of them: tests/conftest.py.
WORKERS ?= 2
ARGS ?=

export PYTHON

.DEFAULT_GOAL := help
.PHONY: help demo test check format bench wheel docs clean dev packages

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s %s\n", $$1, $$2 }'

demo: ## set up what is missing and open the demo on http://127.0.0.1:8420
	@sh scripts/bootstrap.sh demo
	@exec .venv/bin/headrace demo $(ARGS)

test: dev ## install what the tests need, then run all of them
	@sh scripts/install_test_servers.sh
	@exec $(PY) -m pytest -n $(WORKERS) --no-loadscope-reorder $(ARGS)

check: packages ## ruff, pyright (strict) and the import direction
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) scripts/check_imports.py
	@$(PY) -m pyright

format: packages ## let ruff write the code as `make check` wants it
	@$(PY) -m ruff check --fix
	@$(PY) -m ruff format

bench: dev ## measure latency and throughput; tables and JSON
	@exec $(PY) -m bench $(ARGS)

wheel: dev ## build dist/*.whl with the model file and the page inside
	@rm -rf dist
	@"$$(sh scripts/bootstrap.sh uv)" build --wheel --out-dir dist
	@$(PY) scripts/check_wheel.py dist/*.whl

docs: packages ## write docs/configuration.md and docs/cli.md again from the code
	@$(PY) scripts/generate_docs.py

clean: ## remove what was built or installed here (not the data of a demo)
	@rm -rf .venv .uv dist page/node_modules page/dist src/headrace/server/static src/headrace/models/data
	@rm -rf .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

dev: ## set up everything for working on the code
	@sh scripts/bootstrap.sh dev

packages:
	@sh scripts/bootstrap.sh packages

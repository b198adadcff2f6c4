# Everything runs in .venv, which is made when it is missing or pyproject.toml has changed.
PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
RUNTIME := $(shell nvidia-smi >/dev/null 2>&1 && echo gpu || echo cpu)
READY   := $(VENV)/.ready
ROOMS   := zoo search export cards
JOBS    ?= 2
PYTEST   = $(BIN)/python -P -m pytest --numprocesses $(JOBS) --dist loadfile

.PHONY: demo test check slow browser wheel-test zoo gallery clean

demo: $(READY)
	$(BIN)/dashzoo run ucr/GunPoint --out runs/gunpoint --force

test: $(READY)
	$(PYTEST)

slow: $(READY)
	$(BIN)/python -m pytest -m slow

# Every model of the shelf anew, from data and seeds: an hour or two. CHECK=--check rebuilds them
# elsewhere and compares; NAMES="…" takes some.
zoo: $(READY)
	$(BIN)/python benchmarks/shelf.py $(or $(CHECK),--force) $(if $(NAMES),--only $(NAMES))

# The shelf as a static site, and the pictures of the README.
gallery: $(READY)
	$(BIN)/dashzoo gallery --out docs/gallery --force --title 'The shelf of dashzoo'

# In Debian's chromium and chromium-driver, which .ci/run installs.
browser: $(READY)
	$(BIN)/python -m pytest -m browser

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --doctest-modules $(ROOMS)

# The same tests against the built wheel, so that a packaging fault cannot hide.
wheel-test: $(READY)
	rm -rf build/wheel
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir build/wheel .
	$(BIN)/pip install --quiet --no-deps --target build/wheel/site build/wheel/*.whl
	PYTHONPATH=$(CURDIR)/build/wheel/site DASHZOO_TESTED_FROM=$(CURDIR)/build/wheel/site \
		$(PYTEST) -o pythonpath=

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[$(RUNTIME),tasks,openvino,dev,browser]'
	touch $@

clean:
	rm -rf $(VENV) build dist runs

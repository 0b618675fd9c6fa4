# Every goal makes the virtual environment from nothing when it is missing or out of date. What only
# looks and measures installs the package; tests, lint, docs and benchmarks install tools besides.
.DEFAULT_GOAL := help
.PHONY: help demo test fast oldest extras lint notebooks figures pictures docs lab bench results pretrain pretrain-gpu badges clean
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
TOOLS  := $(VENV)/.tools
OLDEST := .venv-oldest
EXTRAS := .venv-extras
# How models are to be fine-tuned, then the argument in its order, the paper's matrix last.
# EXECUTOR=ray, with ADDRESS=auto on a cluster that shares the store; empty WORKERS: all there are.
EXECUTOR ?= processes
WORKERS  ?= 2
QUESTIONS := regime course rates methods argument hidden lasting story strength mismatch intervention shortcut identifier traces \
             purification decoupling words adaptive benchmark

# Of these the peak memory of each attack and purifier is told besides.
WEIGHED := strength purification
BENCH   := $(BIN)/shortcut-nb bench --executor $(EXECUTOR) --save --force \
           $(if $(WORKERS),--workers $(WORKERS)) $(if $(ADDRESS),--address $(ADDRESS))

help:
	@echo "make demo       run 00_quickstart on the miniature and show where its figures are"
	@echo "make test       lint, then every test, in two processes"
	@echo "make fast       every test that is not marked slow, in two processes"
	@echo "make oldest     the same with the lowest versions that pyproject.toml allows"
	@echo "make extras     the tests of the optional packages (some for non-commercial use only)"
	@echo "make lint       ruff and mypy"
	@echo "make notebooks  run every notebook, in order, and keep outputs and figures in the repository"
	@echo "make figures    draw the figures of the pages from the results; nothing is measured"
	@echo "make pictures   draw the pictures of samples: README and the gallery of attacks; trains what is missing"
	@echo "make docs       build the site of README, pages, notebooks and docstrings; no network"
	@echo "make lab        open JupyterLab"
	@echo "make bench      run the benchmarks"
	@echo "make results    measure every question and the paper's matrix; resumes (days on two cores)"
	@echo "                (on a Ray cluster: EXECUTOR=ray ADDRESS=auto WORKERS=)"
	@echo "make pretrain   train the miniature again from nothing; resumes"
	@echo "make pretrain-gpu  the same on one large GPU, in minutes; OUT=FOLDER takes the result"
	@echo "make badges     REPO=owner/name: Colab badges, and where Colab installs from"
	@echo "make clean      delete the environment, caches and build products"

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(TOOLS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,docs]"
	@touch $@

demo: $(STAMP)
	$(BIN)/shortcut-nb run 00_quickstart --out build/quickstart --force
	@echo "The executed notebook is in build/quickstart/, its figures in build/quickstart/figures/."

lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n 2

fast: $(TOOLS)
	$(BIN)/python -m pytest -m "not slow" -n 2

# Lowest versions of what the package needs; its dependencies' own and the tools are pip's choice.
$(OLDEST)/.installed: pyproject.toml
	$(PYTHON) -m venv $(OLDEST)
	sed -n '/^dependencies = \[/,/^\]/s/^ *"\([^>]*\)>=\([^"]*\)".*/\1==\2/p' pyproject.toml > $(OLDEST)/lowest.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check -c $(OLDEST)/lowest.txt -e ".[dev]"
	@touch $@

oldest: $(OLDEST)/.installed
	$(OLDEST)/bin/python -m pytest -m "not slow"

# Adapters to packages that nobody needs: pyiqa, insightface, spandrel, facenet-pytorch.
$(EXTRAS)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(EXTRAS)
	$(EXTRAS)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  -e ".[dev,iqa,arcface,restoration]" onnx
	$(EXTRAS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps facenet-pytorch
	@touch $@

extras: $(EXTRAS)/.installed
	$(EXTRAS)/bin/python -m pytest tests/test_adapters.py tests/test_face_restorer.py -rs

notebooks: $(STAMP)
	$(BIN)/shortcut-nb run all --in-place

figures: $(STAMP)
	$(BIN)/python -m shortcut_nb.reporting.figures

pictures: $(STAMP)
	$(BIN)/python -m shortcut_nb.reporting.teaser
	$(BIN)/python -m shortcut_nb.reporting.pictures
	$(BIN)/python -m shortcut_nb.reporting.gallery

docs: $(TOOLS)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

lab: $(STAMP)
	$(BIN)/jupyter lab notebooks

bench: $(TOOLS)
	$(BIN)/python -m pytest benchmarks -s

results: $(STAMP)
	$(BENCH) $(filter-out $(WEIGHED),$(QUESTIONS)); first=$$?; \
	  test $$first -lt 2 && $(BENCH) $(WEIGHED) --memory 3 && test $$first = 0

pretrain: $(STAMP)
	$(BIN)/python -m shortcut_nb.mini.pretrain

# Where the packages are there already (no environment of its own): make pretrain-gpu BIN=/usr/bin STAMP=
pretrain-gpu: $(STAMP)
	$(BIN)/python3 -m shortcut_nb.mini.pretrain.gpu

badges: $(STAMP)
	$(BIN)/python -m shortcut_nb.runner.colab $(REPO)

clean:
	rm -rf $(VENV) $(OLDEST) $(EXTRAS) build dist site *.egg-info .pytest_cache .ruff_cache .mypy_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

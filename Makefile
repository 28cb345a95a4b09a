# The commands of this repository. Each makes the virtual environment $(VENV) if there is none.

VENV = .venv
FRAMEWORKS = $(VENV)-frameworks
OUT = results/fig1
ARGS =
WORKERS = 2

.PHONY: help fig1 fig1-quick bench bench-quick test test-all test-frameworks lint clean core dev frameworks

help:
	@echo "make fig1        Figure 1 of the paper, into $(OUT) (ARGS='--field complex' OUT=results/other: options)"
	@echo "make fig1-quick  the same from few samples, into results/fig1-quick"
	@echo "make bench       benchmarks/results.md and scaling.png, .svg: speed against peers, on one quiet core"
	@echo "make bench-quick a first look at them in results/bench-quick"
	@echo "make test        lint, and the quick tests"
	@echo "make test-all    lint, and all tests: the long statistical batteries too"
	@echo "make test-frameworks"
	@echo "                 the initialisers in JAX, Flax, Keras, ReservoirPy and PyTorch, in $(FRAMEWORKS) (1.5 GB)"
	@echo "make lint        ruff and mypy"
	@echo "make clean       remove $(VENV), $(FRAMEWORKS) and caches; results stay"
	@echo "PYTHON=/path/to/python3.11 picks the interpreter, VENV=dir the virtual environment."

fig1: core
	$(VENV)/bin/python -m rmt run experiments/fig1.py --out $(OUT) $(ARGS)

fig1-quick: core
	$(VENV)/bin/python -m rmt run experiments/fig1.py --out results/fig1-quick --quick $(ARGS)

bench: core
	$(VENV)/bin/python -m benchmarks.run

bench-quick: core
	$(VENV)/bin/python -m benchmarks.run --quick --out results/bench-quick

# What is heavy is decided here alone; a test says so with @pytest.mark.heavy.
test: lint
	$(VENV)/bin/python -m pytest -n $(WORKERS) -m "not heavy" $(ARGS)

test-all: lint
	$(VENV)/bin/python -m pytest -n $(WORKERS) $(ARGS)

# The frameworks have an environment of their own, so that `make test` shows that rmt needs none of them.
test-frameworks: frameworks
	$(FRAMEWORKS)/bin/python -m pytest -n $(WORKERS) --frameworks tests/frameworks rmt/initializers $(ARGS)

lint: dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

clean:
	rm -rf $(VENV) $(FRAMEWORKS) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

core:
	@tools/venv.sh $(VENV)

dev:
	@tools/venv.sh $(VENV) dev

frameworks:
	@tools/venv.sh $(FRAMEWORKS) frameworks

# The commands of this repository. Each makes the virtual environment $(VENV) if there is none.

VENV = .venv
FRAMEWORKS = $(VENV)-frameworks
LOWEST = $(VENV)-lowest
OUT = results/fig1
GALLERY = results/all
SITE = docs/_build
ARGS =
WORKERS = 2

.PHONY: help fig1 fig1-quick gallery training notebooks docs linkcheck bench bench-quick test test-all test-frameworks test-lowest dist lint clean core dev frameworks lowest

help:
	@echo "make fig1        Figure 1 of the paper, into $(OUT) (ARGS='--field complex' OUT=results/other: options)"
	@echo "make fig1-quick  the same from few samples, into results/fig1-quick"
	@echo "make gallery     docs/gallery: the figure of every experiment, from runs in $(GALLERY)"
	@echo "make training    docs/training: the figures of the trainings, from runs in results/training; within an hour"
	@echo "make notebooks   execute the notebooks in notebooks/, and keep their outputs"
	@echo "make docs        the documentation, as pages in $(SITE)/html"
	@echo "make linkcheck   try every link of the documentation that leads elsewhere; needs the internet"
	@echo "make bench       benchmarks/results.md, scaling.png, .svg and campaigns.md: speed against peers, on two quiet cores"
	@echo "make bench-quick a first look at them in results/bench-quick"
	@echo "make test        lint, and the quick tests"
	@echo "make test-all    lint, and all tests: the long statistical batteries too"
	@echo "make test-frameworks"
	@echo "                 the initialisers in JAX, Flax, Keras, ReservoirPy and PyTorch, and training, in $(FRAMEWORKS) (1.6 GB)"
	@echo "make test-lowest the core's tests with the lowest versions of Python and of each library, in $(LOWEST)"
	@echo "make dist        wheel and sdist, into dist, each installed into a clean environment and tried out"
	@echo "make lint        ruff and mypy"
	@echo "make clean       remove $(VENV), $(FRAMEWORKS), $(LOWEST), dist, $(SITE) and caches; results stay"
	@echo "PYTHON=/path/to/python3.11 picks the interpreter, VENV=dir the virtual environment."

fig1: core
	$(VENV)/bin/python -m rmt run experiments/fig1.py --out $(OUT) $(ARGS)

fig1-quick: core
	$(VENV)/bin/python -m rmt run experiments/fig1.py --out results/fig1-quick --quick $(ARGS)

# Goes on where it was interrupted; where the runs are there, it only draws them again.
gallery: core
	$(VENV)/bin/python -m rmt reproduce --out $(GALLERY)
	$(VENV)/bin/python -m tools.gallery $(GALLERY)

# The trainings: what docs/training.md shows.
training: frameworks
	$(FRAMEWORKS)/bin/python -m rmt run experiments/table1.py --out results/training/table1 --workers $(WORKERS)
	$(FRAMEWORKS)/bin/python -m rmt run experiments/forecasting.py --out results/training/forecasting --workers $(WORKERS)
	$(FRAMEWORKS)/bin/python -m tools.gallery results/training docs/training

notebooks: dev
	$(VENV)/bin/python -m tools.notebooks notebooks/*.ipynb

docs: dev
	$(VENV)/bin/python -m sphinx -b html -W -n --keep-going -q -d $(SITE)/doctrees docs $(SITE)/html
	@echo "the documentation is in $(SITE)/html/index.html"

linkcheck: dev
	$(VENV)/bin/python -m sphinx -b linkcheck -q -d $(SITE)/doctrees docs $(SITE)/linkcheck
	@echo "every link answered; $(SITE)/linkcheck/output.txt has the list"

bench: core
	$(VENV)/bin/python -m benchmarks.run
	$(VENV)/bin/python -m benchmarks.campaigns

bench-quick: core
	$(VENV)/bin/python -m benchmarks.run --quick --out results/bench-quick
	$(VENV)/bin/python -m benchmarks.campaigns --quick --out results/bench-quick

# What is heavy is decided here alone; a test says so with @pytest.mark.heavy.
test: lint
	$(VENV)/bin/python -m pytest -n $(WORKERS) -m "not heavy" $(ARGS)

test-all: lint
	$(VENV)/bin/python -m pytest -n $(WORKERS) $(ARGS)

# The frameworks have an environment of their own, so that `make test` shows that rmt needs none of them.
test-frameworks: frameworks
	$(FRAMEWORKS)/bin/python -m pytest -n $(WORKERS) --frameworks tests/frameworks rmt/initializers rmt/training $(ARGS)

# What meets each of the libraries; the rest asks them for nothing else. Old libraries call what newer ones beneath
# them have deprecated, so that here this is no error. Two versions of Numba overwrite each other's compiled kernels,
# hence a folder of their own for these; and two workers with two threads of BLAS each would wait for each other.
CORE = test_special test_lapack test_moments test_ensembles test_recurrence test_krylov_given test_arnoldi test_fitting \
	test_import test_tables test_plotting test_exporting test_report test_cli test_audit_reading \
	test_campaign_dask
OLD = NUMBA_CACHE_DIR=$(abspath $(LOWEST))/numba OPENBLAS_NUM_THREADS=1

test-lowest: lowest
	$(OLD) $(LOWEST)/bin/python -m pytest -n $(WORKERS) -m "not heavy" -W ignore::DeprecationWarning $(CORE:%=tests/%.py) $(ARGS)

dist: dev
	$(VENV)/bin/python tools/dist.py --out dist

lint: dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

clean:
	rm -rf $(VENV) $(FRAMEWORKS) $(LOWEST) dist $(SITE) docs/notebooks .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

core:
	@tools/venv.sh $(VENV)

dev:
	@tools/venv.sh $(VENV) dev

frameworks:
	@tools/venv.sh $(FRAMEWORKS) frameworks

lowest:
	@$(OLD) PYTHON="$${PYTHON:-python3.11}" tools/venv.sh $(LOWEST) lowest

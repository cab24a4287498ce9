# The front door: everyday jobs by name. Rules that make data stand in Makefile.data.
#   make help      what there is
space := $(subst ,, )
quote := '
# a word for the shell, whatever is in it
quoted = '$(subst $(quote),$(quote)\$(quote)$(quote),$(1))'
# a name for a folder from any path: what make or a shell would take apart becomes "_"
clean  = $(if $(1),$(shell printf %s $(quoted) | LC_ALL=C tr -c A-Za-z0-9_./+@,- _))
ifdef CONFIG
RUN   ?= $(basename $(notdir $(call clean,$(CONFIG))))
endif
RUN   ?= demo
CONFIG ?= configs/$(RUN).conf
CSV   ?=
INIT  ?=
BASE_MODEL ?=
OUT   ?= out/$(call clean,$(RUN))$(if $(CSV),-$(firstword $(subst ., ,$(notdir $(patsubst %/,%,$(call clean,$(CSV)))))))
BUILD ?= build
JOBS  ?= $(shell nproc)
CMAKE_OPTIONS ?=
FUZZ_SECONDS ?= 600
PREFIX ?= /usr/local
TESTS ?=
REQUESTS ?= 10000
POINTS ?= 100
REQUESTS_LLAMA ?= 500
SEED ?= 1
# make sample
MODEL ?= checkpoints/base.h5
N     ?= 3
EDGES ?= 12
DEPTH ?= 4
SAMPLED ?= out/sample

# What may be set on the command line: what has a value here, in Makefile.data or in Makefile.base, and what the benchmarks read.
KNOWN   := $(sort $(shell sed -nE 's/^([A-Z][A-Z_0-9]*[a-z]*) *[?:]?=.*/\1/p' $(wildcard Makefile Makefile.data Makefile.base))) CC CFLAGS LDFLAGS \
           SHAPE FOLDER BENCH_MODEL LIKE_STORE TRACES RUNS WORLDS GRAPHS THREADS SETS STARTS PRECISIONS MINUTES SEEDS \
           CONFIG_a CONFIG_b CONFIG_c CONFIG_d CLIENTS SECONDS_GRAPHS SECONDS_ALL WISH STEPS TOKENS RANKS_SHAPE KEEP NODE_LLAMA_CPP MAKE%
# What is given there or by the environment is data: "$x" and "$(...)" in it are not for make.
DOLLARS := $(foreach v,$(KNOWN),$(if $(filter command environment,$(firstword $(origin $(v)))),$(if $(findstring $$,$(value $(v))),$(v))))
$(foreach v,$(DOLLARS),$(eval override $(v) := $$(value $(v))))
STRANGE := $(filter-out $(KNOWN),$(foreach v,$(.VARIABLES),$(if $(findstring command line,$(origin $(v))),$(v))))
ifneq ($(STRANGE),)
$(error $(firstword $(STRANGE))= is no variable of this Makefile; make help tells them (RUN, CONFIG, CSV, OUT, INIT, FIGURES, ...))
endif

# Exported only where the data rules are called: what tests run must not see these.
DATA_TARGETS = demo pretrain sft answers few-shot figures likeness bench
$(DATA_TARGETS): export CSV := $(CSV)
$(DATA_TARGETS): export INIT := $(INIT)
$(DATA_TARGETS): export OUT := $(OUT)
$(DATA_TARGETS): export CONFIG := $(CONFIG)
ifneq ($(BASE_MODEL),)
$(DATA_TARGETS): export BASE_MODEL := $(BASE_MODEL)
endif

# Makefile.data works on words, and make's lists end at blanks: a path with blanks, quotes and the like is reached through a
# link in out/links. A path that is not there is said here, in a sentence.
define DATA
set -e; \
complain() { echo "$$1" >&2; exit 1; }; \
path() { \
	case $$1 in -* | *[!-A-Za-z0-9_./+@,]*) ;; *) printf %s "$$1"; return ;; esac; \
	name=$$(basename -- "$$1"); \
	link=out/links/$$(printf %s "$$1" | cksum | cut -d' ' -f1)-$$(printf %s "$$name" | LC_ALL=C tr -c A-Za-z0-9_.- _); mkdir -p out/links; \
	ln -sfn "$$(realpath -m -- "$$1")" "$$link"; printf %s "$$link"; \
}; \
[ -f "$$CONFIG" ] || complain "there is no $$CONFIG; RUN= is one of: $$(ls configs | sed -n "s/\.conf$$//p" | paste -sd" "), CONFIG= a file; the paper's sample sizes are PRESET=paper"; \
[ -z "$$CSV" ] || [ -e "$$CSV" ] || complain "there is no CSV=$$CSV; give traces (CallGraph CSV, a CSV of spans, Jaeger, OTLP or Zipkin JSON), an archive or a folder of them"; \
[ -z "$$INIT" ] || [ -d "$$INIT" ] || complain "there is no folder INIT=$$INIT; give that of a Hugging Face model"; \
$(if $(findstring n,$(firstword -$(MAKEFLAGS))),:,mkdir -p "$$OUT"); \
$(MAKE) --no-print-directory -f Makefile.data BIN=$(BUILD)/bin RUN='$(call clean,$(RUN))' CONFIG="$$(path "$$CONFIG")" OUT="$$(path "$$OUT")" \
	CSV="$$(path "$$CSV")" INIT="$$(path "$$INIT")" $${BASE_MODEL:+BASE_MODEL="$$(path "$$BASE_MODEL")"}
endef

# Debian packages: what they are needed for is said before anything is installed.
REQUIRED = build-essential cmake ninja-build pkg-config libopenblas-dev liblapacke-dev libhdf5-dev libzstd-dev \
           libarchive-dev libjansson-dev libpcre2-dev libxxhash-dev
OPTIONAL = zstd gnuplot-nox libdnnl-dev libisal-dev libopenmpi-dev openmpi-bin libmicrohttpd-dev libcurl4-openssl-dev
MISSING  = $(shell for p in $(REQUIRED) $(OPTIONAL); do dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done)

.DEFAULT_GOAL := build
.PHONY: build demo test property faults test-sanitize test-threads lint format coverage pretrain base sft sample answers few-shot figures likeness bench bench-llama bench-llama-cpp bench-infer bench-ranks bench-serve bench-accuracy bench-preprocess bench-eval bench-systems fuzz install deb deps help clean

build: $(BUILD)/build.ninja ## build the four executables into build/bin
	@cmake --build $(BUILD) -j $(JOBS) -- --quiet

$(BUILD)/build.ninja: CMakeLists.txt
	@command -v cmake ninja pkg-config cc >/dev/null || { echo "a compiler, cmake, ninja and pkg-config are needed: run 'make deps'" >&2; exit 1; }
	@mkdir -p $(BUILD)
	@cmake -S . -B $(BUILD) -G Ninja $(CMAKE_OPTIONS) >$(BUILD)/configure.log 2>&1 || \
		{ tail -n 20 $(BUILD)/configure.log >&2; echo "configuring failed; if a library is missing: make deps" >&2; exit 1; }

deps: ## install missing Debian packages (says what and why first)
	@if ! command -v dpkg-query >/dev/null; then \
		echo "Not a Debian system. Install these libraries (Debian's names) with your package manager:"; \
		echo "  needed:   $(REQUIRED)"; echo "  optional: $(OPTIONAL)"; \
	elif [ -z "$(strip $(MISSING))" ]; then echo "All packages are installed."; \
	else \
		echo "Missing packages: $(MISSING)"; \
		echo "They bring the compiler and CMake, matrix products (OpenBLAS, oneDNN), checkpoints (HDF5), compressed"; \
		echo "files (zstd, libarchive, ISA-L), JSON (Jansson), the tokenizer's patterns (PCRE2), hashing (xxHash), pictures (gnuplot), training by several processes (Open MPI), answers over HTTP (libmicrohttpd)."; \
		if [ "$$(id -u)" = 0 ]; then S=; else S=sudo; fi; \
		set -x; $$S apt-get update -q && DEBIAN_FRONTEND=noninteractive $$S apt-get install -y -q --no-install-recommends $(MISSING); \
	fi

demo: ## the whole pipeline in minutes, on made-up traces or on CSV=file-or-folder: graphs, two models, heat map
	@[ -z "$(strip $(MISSING))" ] || $(MAKE) --no-print-directory deps
	@$(MAKE) --no-print-directory build
	+@$(DATA) demo

# one more than there are processors: some tests wait for what they have started
test: build ## unit, gradient, golden, command-line and end-to-end tests
	@cd $(BUILD) && ctest --output-on-failure -j $$(($(JOBS) + 1))

property: build ## hold --constrain full to REQUESTS=10000 random requests (some minutes; SEED=1), 500 per Llama tokenizer
	@$(BUILD)/tests/test_infer_property $(REQUESTS) $(REQUESTS_LLAMA) $(SEED)

test-sanitize: ## unit, golden and parser tests, and the server among bad clients, with address and undefined-behaviour sanitizers
	@cmake -S . -B $(BUILD)-sanitize -G Ninja -DLOOM_SANITIZE=ON -DLOOM_NATIVE=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo $(CMAKE_OPTIONS) >/dev/null
	@cmake --build $(BUILD)-sanitize -j $(JOBS) -- --quiet
	@cd $(BUILD)-sanitize && ctest --output-on-failure -j $(JOBS) -L 'unit|golden|sanitized'

# tests that start threads: tests/test.h sees to it that they say so
THREADED = $(basename $(notdir $(shell grep -lx 'TEST_THREADED;' tests/unit/test_*.c)))
test-threads: ## unit tests that use threads, with the thread sanitizer
	@[ -n "$(THREADED)" ] || { echo "no test uses threads" >&2; exit 1; }
	@cmake -S . -B $(BUILD)-threads -G Ninja -DLOOM_THREADS=ON -DLOOM_NATIVE=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo $(CMAKE_OPTIONS) >/dev/null
	@cmake --build $(BUILD)-threads -j $(JOBS) --target $(THREADED) -- --quiet
	@cd $(BUILD)-threads && TSAN_OPTIONS="halt_on_error=1 suppressions=$(CURDIR)/tests/races.txt" \
		ctest --output-on-failure -j $(JOBS) -R '^unit/($(subst $(space),|,$(strip $(THREADED))))$$'

lint: ## the one style, clang-tidy, cppcheck and shellcheck: all clean
	@JOBS=$(JOBS) BUILD=$(BUILD) bash tests/lint.sh

format: ## lay out the C sources as .clang-format says (comments and texts stay)
	@JOBS=$(JOBS) bash tests/lint.sh --fix

coverage: ## branches of lib/ that the tests take, by file
	@cmake -S . -B $(BUILD)-coverage -G Ninja -DLOOM_COVERAGE=ON -DLOOM_NATIVE=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo $(CMAKE_OPTIONS) >/dev/null
	@cmake --build $(BUILD)-coverage -j $(JOBS) -- --quiet
	@find $(BUILD)-coverage -name '*.gcda' -delete
	@cd $(BUILD)-coverage && GCOV_ERROR_FILE=/dev/null ctest --output-on-failure -j $(JOBS) -E 'cli/(faults|test_bench|test_fingerprints|test_install)' $(if $(TESTS),-L '$(TESTS)') || true
	@bash tests/coverage.sh $(BUILD)-coverage

pretrain: build ## CSV to trained models, after CONFIG= (default configs/demo.conf)
	+@$(DATA) pretrain

base: build ## draw the worlds that a base model learns from, train it and write its weights (hours; goes on where it was stopped)
	@$(MAKE) --no-print-directory -f Makefile.base BIN=$(BUILD)/bin CONFIG=configs/base.conf OUT=out/base base

sft: build ## instruction-tune the pretrained model
	+@$(DATA) sft

into = $(call quoted,$(SAMPLED))
sample: build ## generate N=3 valid call graphs of EDGES=12 calls and DEPTH=4 levels with the model that ships (or MODEL=), and draw them
	@[ -e $(call quoted,$(MODEL)) ] || { printf "there is no model %s: give MODEL= a checkpoint or run folder, or make one with 'make base'\n" $(call quoted,$(MODEL)) >&2; exit 1; }
	@mkdir -p -- $(into)
	@$(BUILD)/bin/loom-infer sample --force --model $(call quoted,$(MODEL)) --edges $(EDGES) --depth $(DEPTH) -n $(N) --seed $(SEED) \
		--temperature 0.8 --constrain full -o $(into)/new.answers.jsonl --records $(into)/new.graphs.zst --csv $(into)/new.csv
	@$(BUILD)/bin/loom-infer show $(into)/new.graphs.zst --limit 0
	@echo
	@printf 'records: %s/new.graphs.zst (zstdcat)   table: %s/new.csv   prompts and answers: %s/new.answers.jsonl\n' $(into) $(into) $(into)
	@echo "Others: make sample N=10 EDGES=25 DEPTH=5 SEED=2. Your own traces: make demo CSV=path"

answers: build ## answer the prompts of the accuracy grid with every model
	+@$(DATA) answers

few-shot: build ## write requests for a language model of others (table 3); its answers: make figures FIGURES=T3 OUTSIDE=NAME=FILE
	+@$(DATA) few-shot

figures: build ## draw FIGURES='3 4 6 8 12 ...' of the paper, sample sizes PRESET=paper|desk; makes what is missing
	+@$(DATA) figures

likeness: build ## compare LIKE=500 graphs of every model with real ones: popular calls, heavy hitters, branching
	+@$(DATA) likeness

bench: build ## measure this machine: training and preprocessing, beside the goals
	+@$(DATA) bench

bench-llama: build ## a LoRA step and generation on a model of SHAPE=llama-3.2-1b or llama-2-7b (24 GiB) with random weights, made in FOLDER=
	@bash tests/bench_llama.sh $(BUILD) $(or $(SHAPE),llama-3.2-1b) $(call quoted,$(or $(FOLDER),out/bench-llama))

bench-infer: build ## measure generation: tokens and graphs a second at 1, 8 and 64 layers in flight (BENCH_MODEL=run folder LIKE_STORE=store)
	@$(BUILD)/bin/loom-infer bench $(if $(BENCH_MODEL),--model $(call quoted,$(BENCH_MODEL))) $(if $(LIKE_STORE),--like $(call quoted,$(LIKE_STORE)))

bench-llama-cpp: build ## generation beside the real llama.cpp, same weights and threads, into out/bench-llama-cpp (NODE_LLAMA_CPP=folder RUNS=7 TOKENS=512 THREADS=1)
	@bash tests/bench_llama_cpp.sh $(BUILD) out/bench-llama-cpp

bench-ranks: build ## measure training by two processes beside one, and what their exchanges cost, into out/bench-ranks (STEPS=40 TOKENS=4096 RUNS=3)
	@bash tests/bench_ranks.sh $(BUILD)/bin out/bench-ranks

bench-serve: build ## measure the HTTP server on loopback beside sample: throughput, bad clients, memory, into out/bench-serve (CLIENTS=64 SECONDS_GRAPHS=60 SECONDS_ALL=120)
	@bash tests/bench_serve.sh $(BUILD) out/bench-serve

bench-preprocess: build ## measure preprocessing alone, into out/bench-preprocess (TRACES=3000000 RUNS=3)
	@bash tests/bench_preprocess.sh $(BUILD)/bin out/bench-preprocess

bench-systems: build ## what topology and compare find and cost, into out/bench-systems (RUNS=50 WORLDS="2 3 4 6" GRAPHS=1000000)
	@bash tests/bench_systems.sh $(BUILD) out/bench-systems

bench-eval: build ## measure the evaluator alone, into out/bench-eval (GRAPHS=300000 RUNS=3)
	@bash tests/bench_eval.sh $(BUILD)/bin out/bench-eval

faults: build ## let calls fail, one at a time (memory, writes, syncs, renames, opens, threads), under every subcommand: POINTS=100 each
	@JOBS=$(JOBS) bash tests/faults.sh $(BUILD) $(POINTS)

bench-accuracy: build ## right graphs after minutes of training, from nothing and from the base, into out/bench-accuracy (days; in minutes: SETS=c SEEDS=1 MINUTES="0 1")
	@bash tests/bench_accuracy.sh $(BUILD)/bin out/bench-accuracy

fuzz: ## fuzz every parser of outside files for FUZZ_SECONDS=600 each (clang)
	@cc=$$(bash tests/fuzz/compiler.sh) && \
		CC=$$cc cmake -S . -B $(BUILD)-fuzz -G Ninja -DLOOM_FUZZ=ON -DLOOM_NATIVE=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
	@cmake --build $(BUILD)-fuzz -j $(JOBS) --target $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c))) -- --quiet
	@JOBS=$(JOBS) bash tests/fuzz/run.sh $(BUILD)-fuzz/bin $(FUZZ_SECONDS)

install: build ## put programs, recipes, base model, manual pages and libraries into PREFIX=/usr/local (docs/INSTALL.md)
	@cmake --install $(BUILD) --prefix $(call quoted,$(PREFIX)) | tail -n 1

deb: ## a Debian package for any CPU of this architecture, in build-deb/
	@cmake -S . -B $(BUILD)-deb -G Ninja -DLOOM_NATIVE=OFF -DLOOM_STATIC=OFF -DLOOM_TESTS=OFF -DCMAKE_INSTALL_PREFIX=/usr $(CMAKE_OPTIONS) >/dev/null
	@cmake --build $(BUILD)-deb -j $(JOBS) -- --quiet
	@cd $(BUILD)-deb && cpack -G DEB >cpack.log 2>&1 || { tail -n 20 cpack.log >&2; exit 1; }
	@ls $(BUILD)-deb/*.deb

clean: ## remove the build folders (data, models and figures stay)
	@rm -rf $(BUILD) $(BUILD)-sanitize $(BUILD)-threads $(BUILD)-coverage $(BUILD)-lint $(BUILD)-fuzz $(BUILD)-deb

help: ## this list
	@echo "Spanloom learns microservice call graphs and weaves new ones."; echo
	@sed -nE 's/^([a-z][a-z-]*):[^#]*## (.*)/\1|\2/p' Makefile | awk -F'|' '{printf "  make %-14s %s\n", $$1, $$2}'
	@echo; echo "  RUN=demo         configs/RUN.conf is read, out/RUN is written (with CSV: out/RUN-NAME)"
	@echo "  CONFIG= OUT=     other configuration file (its outputs: out/NAME), other output folder"
	@echo "  BASE_MODEL=FILE  what models start from (default: the one shipped, checkpoints/base.h5), or the recipe (*.conf) of a base that is made first; none: from random weights"
	@echo "  INIT=FOLDER      train adapters beside this Hugging Face model (configs/llama2-7b-lora.conf, llama3.2-1b-lora.conf)"
	@echo "  CSV=PATH         your traces (CallGraph CSV, Jaeger, OTLP or Zipkin JSON, archives or folders of them) instead of made-up ones"
	@echo "                   (paths may hold blanks and quotes: they are reached through links in out/links)"
	@echo "  FIGURES= PRESET= which figures of the paper (T1 T2 T3 3 3c 4 5 6 7 8 12 13 14 15 16 17), sample sizes (paper, desk);"
	@echo "                   METHODS TEMPERATURES LADDER FULL: see the head of Makefile.data;"
	@echo "                   the configuration has them under [recipe], and a variable goes before it"
	@echo "  SETS= STARTS= PRECISIONS= MINUTES= SEEDS= THREADS=   what 'make bench-accuracy' makes; see the head of tests/bench_accuracy.sh"
	@echo "  N= EDGES= DEPTH= SEED= MODEL=   what 'make sample' generates, and with which model"
	@echo "  JOBS=N           parallel compilation and tests"

# The front door: `make help`. Everything built goes into target/, everything downloaded into
# ${DROVER_CACHE:-~/.cache/drover}; nothing into the sources.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
# quick: tests, and the demo, which shares its build with them (see Cargo.toml); release: what is shipped and measured.
PROFILE ?= quick
DEMO_PROFILE ?= quick
export PROFILE
# Binaries are built for an explicit target (.cargo/config.toml), so they lie in a folder of its name.
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
BUILT = $(or $(CARGO_TARGET_DIR),target)/$(HOST)/$(PROFILE)
IMAGES_DIR := target/images
# Name of the image (drover.local/NAME:dev) = the program that is all there is in it.
IMAGES := drover-controller=drover-controller drover-worker=drover-worker \
          handler=examples/handler own-consumer=examples/own_consumer exec-handler=examples/exec_handler
# The examples with a folder and a Dockerfile each: drover.local/example-NAME:dev.
EXAMPLES := encrypted idempotent node python rails

# crds/NAME.drover.dev.yaml, each written by `drover crd NAME`.
CRDS := kafkaconsumers deadletterreplays
# docs/NAME.md, each written by `drover docs NAME`.
GENERATED_PAGES := commands conditions metrics reference reference-replay

export DROVER_CACHE ?= $(HOME)/.cache/drover
CLUSTER_TOOL := tests/cluster/cluster
# A cluster of their own for the tests, for the demo and for the pictures, so that none disturbs another.
TEST_CLUSTER := $(DROVER_CACHE)/clusters/test
DEMO_CLUSTER := $(DROVER_CACHE)/clusters/demo
PICTURES_CLUSTER := $(DROVER_CACHE)/clusters/pictures
KEDA_CLUSTER := $(DROVER_CACHE)/clusters/keda

.PHONY: help
help: ## Show this
	@echo "Drover runs fleets of Kafka consumers on Kubernetes. What make can do:"
	@awk -F ':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "CLUSTER=local (root; nothing else needed), kind (Docker) or current (the kubeconfig's) chooses the"
	@echo "cluster; DROVER_CACHE=$(DROVER_CACHE) holds what is downloaded."

##@ See it work

demo demo-keep pictures: PROFILE = $(DEMO_PROFILE)
bench-start: PROFILE = release

# Rust's build and Go's have minutes in which each leaves a core idle, so they run side by side.
.PHONY: demo-ready
demo-ready: setup
	@$(MAKE) -j2 demo-images demo-tools PROFILE=$(PROFILE)

.PHONY: demo-tools
demo-tools:
	@$(CLUSTER_TOOL) tools --cluster

# Only what the demo runs.
.PHONY: demo-images
demo-images: IMAGES = drover-controller=drover-controller drover-worker=drover-worker handler=examples/handler
demo-images:
	@$(CARGO) build --profile $(PROFILE) --bins --example handler --example group_watch
	@$(write_images)

.PHONY: demo
demo: demo-ready ## A fleet goes from zero to size, is rolled in the middle, drains, goes back to zero
	@tests/demo/demo --dir "$(DEMO_CLUSTER)" --bin "$(BUILT)" --images "$(IMAGES_DIR)"

.PHONY: demo-keep
demo-keep: demo-ready ## The same, and leave it running to look around
	@tests/demo/demo --dir "$(DEMO_CLUSTER)" --bin "$(BUILT)" --images "$(IMAGES_DIR)" --keep

.PHONY: clean-cluster
clean-cluster: ## Stop and remove the clusters of the demo, of the pictures, of benchmarks and of the tests
	@for dir in "$(DEMO_CLUSTER)" "$(PICTURES_CLUSTER)" "$(KEDA_CLUSTER)" "$(TEST_CLUSTER)" "$(TEST_CLUSTER)-slow" "$(TEST_CLUSTER)-outages"; do $(CLUSTER_TOOL) down --dir "$$dir"; done

##@ Build

.PHONY: setup
setup: ## Make sure that everything needed is there; installs Debian packages as root, else lists them
	@tests/demo/setup

.PHONY: tools
tools: ## The programs of the test cluster: built or fetched once, minutes the first time
	@$(CLUSTER_TOOL) tools

.PHONY: build
build: setup ## Static binaries and examples; PROFILE=release for what is shipped
	@$(CARGO) build --profile $(PROFILE) --bins --examples

.PHONY: images
images: build ## Container images of them, without a container engine, in target/images
	@$(write_images)

define write_images
for pair in $(IMAGES); do \
  name=$${pair%%=*}; program=$${pair#*=}; \
  $(CLUSTER_TOOL) image build "drover.local/$$name:dev" --binary "$(BUILT)/$$program" \
    --entrypoint "/$$name" --out "$(IMAGES_DIR)/$$name.tar" >/dev/null; \
done
endef

.PHONY: example-images
example-images: ## Images of the examples' Dockerfiles, of Debian's packages; a minute the first time
	@$(CLUSTER_TOOL) image folders $(if $(filter-out 0,$(DROVER_TEST_ALL)),,--where-possible) --out "$(IMAGES_DIR)/examples/examples.tar" \
	  $(foreach name,$(EXAMPLES),drover.local/example-$(name):dev=examples/$(name)) >/dev/null

.PHONY: generate
generate: build ## Write the generated files anew
	@mkdir -p crds
	@for crd in $(CRDS); do $(BUILT)/drover crd $$crd > target/crd.yaml; mv target/crd.yaml crds/$$crd.drover.dev.yaml; \
	  cp crds/$$crd.drover.dev.yaml charts/drover/files/; done
	@for page in $(GENERATED_PAGES); do $(BUILT)/drover docs $$page > target/page.md; mv target/page.md docs/$$page.md; done
	@tests/chart/values-table charts/drover/README.md charts/drover/values.yaml > target/chart.md
	@mv target/chart.md charts/drover/README.md

##@ Check

.PHONY: test
test: setup ## Lints, generated files, all tests, end to end on clusters of their own; DROVER_TEST_ALL=1 fails where one cannot be run
	@$(MAKE) -j2 tools images
	@$(MAKE) lint verify example-images
	@tests/all "$(TEST_CLUSTER)" "$(IMAGES_DIR)"

.PHONY: test-quick
test-quick: tools lint verify ## The same without a cluster
	@$(CARGO) test --profile $(PROFILE)

.PHONY: test-outages
test-outages: tools images ## What takes minutes by its nature: Kafka or the API server away for two, a minute at rest
	@tests/e2e/run "$(TEST_CLUSTER)" "$(IMAGES_DIR)" outages:: rest:: held_up::

.PHONY: test-rails
test-rails: build ## What drover encrypts is read by real Rails, and the other way round; needs Ruby
	@tests/rails/run "$(BUILT)/drover"

.PHONY: test-storms
test-storms: tools ## Workers against a real broker while things go wrong: thousands of records each, six minutes
	@$(CARGO) test --profile $(PROFILE) --test storms -- --include-ignored --nocapture --test-threads 2 --skip full::

.PHONY: test-long
test-long: test-storms test-faults test-properties ## All that make test has in its short form, at full size: an hour
	@$(CARGO) test --profile $(PROFILE) --test storms -- --ignored --nocapture --test-threads 1 full::

.PHONY: test-properties
test-properties: ## Every property of the core with 20,000 cases instead of 150 or 256; PROPTEST_CASES asks for another number
	@PROPTEST_CASES=$(or $(PROPTEST_CASES),20000) $(CARGO) test --profile $(PROFILE) --lib

.PHONY: test-faults
test-faults: tools ## Faults of the API server, bad neighbours and changed resources at full size: some minutes
	@DROVER_TEST_FULL=1 DROVER_FUZZ_SPECS=100000 DROVER_FUZZ_SAMPLE=500 $(CARGO) test --profile $(PROFILE) --test it -- \
	  controller_faults controller_isolation controller_leadership controller_security fuzz_specs

.PHONY: test-e2e
test-e2e: images example-images ## Only end to end; KEEP=1 leaves the cluster, TEST=name runs one
	@tests/e2e/run "$(TEST_CLUSTER)" "$(IMAGES_DIR)" $(TEST)

.PHONY: lint
lint: ## Format and clippy, no warnings
	@$(CARGO) fmt --check
	@$(CARGO) clippy --profile $(PROFILE) --all-targets -- --deny warnings

.PHONY: verify
verify: build ## Fail if a generated file is not what its source says
	@for crd in $(CRDS); do \
	  $(BUILT)/drover crd $$crd | diff -u crds/$$crd.drover.dev.yaml - \
	    || { echo "crds/ is not what src/api says; run make generate and commit the result" >&2; exit 1; }; \
	  diff -u crds/$$crd.drover.dev.yaml charts/drover/files/$$crd.drover.dev.yaml \
	    || { echo "the chart's CRD is not that of crds/; run make generate and commit the result" >&2; exit 1; }; \
	done
	@for page in $(GENERATED_PAGES); do \
	  $(BUILT)/drover docs $$page | diff -u docs/$$page.md - \
	    || { echo "docs/$$page.md is not what the source says; run make generate and commit the result" >&2; exit 1; }; \
	done
	@tests/chart/values-table charts/drover/README.md charts/drover/values.yaml | diff -u charts/drover/README.md - \
	  || { echo "the chart's README is not what values.yaml says; run make generate and commit the result" >&2; exit 1; }

.PHONY: docs
docs: ## The documents as a site in target/book, without a warning or a dead link; builds mdBook once, some minutes
	@tests/docs/site target/book

.PHONY: pictures
pictures: demo-ready ## The documents' pictures of dashboards and drover top, of a cluster at work for four minutes
	@tests/pictures/pictures make --dir "$(PICTURES_CLUSTER)" --bin "$(BUILT)" --images "$(IMAGES_DIR)" --out docs/images

.PHONY: deny
deny: ## Licences and advisories of the dependencies, where cargo-deny is installed
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check; \
	else echo "cargo-deny is not installed, nothing was checked; cargo install cargo-deny"; fi

.PHONY: sbom
sbom: ## What is in the binaries, as CycloneDX, in target/images/sbom.cdx.json
	@mkdir -p "$(IMAGES_DIR)"
	@deploy/sbom > "$(IMAGES_DIR)/sbom.cdx.json"

.PHONY: bench-start
bench-start: demo-ready ## 24 times from zero: first record produced to first record handled, step by step
	@tests/demo/demo --dir "$(DEMO_CLUSTER)" --bin "$(BUILT)" --images "$(IMAGES_DIR)" --starts 24 --records 100

.PHONY: bench-scaling
bench-scaling: ## Drover's policy beside KEDA's on the loads of tests/traces, into docs/scaling.md; or of TRACES=folder
	@$(CARGO) build --release --bin drover
	@tests/bench/scaling --drover "$(BUILT:$(PROFILE)=release)/drover" --json target/bench-scaling.json \
	  $(if $(TRACES),--traces "$(TRACES)",--document docs/scaling.md) $(if $(SIMULATE),-- $(SIMULATE))

.PHONY: bench-world
bench-world: ## Drover beside KEDA in a world of another make (tests/bench/world), which asks drover decide; half an hour; WORLD='-scenario flash' for a part
	@$(CARGO) build --release --bin drover
	@cd tests/bench/world && go run . -decide "$(abspath $(BUILT:$(PROFILE)=release))/drover" -traces "$(or $(TRACES),../../traces)" $(WORLD)

.PHONY: test-constant-loads
test-constant-loads: ## Each constant load of 1 to 48 pods' worth, for 24 simulated hours: minutes of CPU
	@$(CARGO) test --profile $(PROFILE) --lib every_constant_load -- --ignored --nocapture

.PHONY: tune-keda
tune-keda: ## Which settings of KEDA keep the promise with the fewest pods on the loads of tests/traces
	@$(CARGO) build --release --bin drover
	@tests/bench/scaling-tune --drover "$(BUILT:$(PROFILE)=release)/drover" $(if $(TRACES),--traces "$(TRACES)")

.PHONY: bench-worker
bench-worker: setup ## The worker beside other consumers on a real broker, into docs/benchmarks.md; QUICK=1 to try
	@$(CARGO) build --release --bin drover-worker $(addprefix --example bench_,load handler config bare_loop)
	@tests/bench/worker --release-dir "$(BUILT:$(PROFILE)=release)" $(if $(QUICK),--quick)

# What is measured is kept beside the sources: whatever is not measured anew stays in the page.
bench_operator = tests/bench/operator --bin "$(BUILT:$(PROFILE)=release)" --results tests/bench/operator_results --page docs/benchmarks-operator.md
.PHONY: bench-operator
bench-operator: tools ## The controller with 1,000 fleets, a real API server and broker, into docs/benchmarks-operator.md; LARGE=1 adds 10,000, KEDA=1 real KEDA
	@$(CARGO) build --release --bin drover-controller --bin drover
	@$(bench_operator)
	@$(if $(LARGE),$(bench_operator) --fleets 10000 --steps 10)
	@$(if $(KEDA),$(bench_operator) --keda)

.PHONY: bench-cli
bench-cli: tools ## What drover status, lag and dlq list take for 100 and 1,000 fleets, a real API server and broker, into docs/cli.md
	@$(CARGO) build --release --bin drover
	@tests/bench/cli --bin "$(BUILT:$(PROFILE)=release)" --document docs/cli.md

.PHONY: bench-sampling
bench-sampling: setup ## The offsets of 10,000 fleets read, and a size decided for each, on a real broker, into docs/scaling.md; QUICK=1 to try
	@$(CARGO) build --release --example bench_sampling
	@tests/bench/sampling --dir "$(BUILT:$(PROFILE)=release)" $(if $(QUICK),--fleets 500,--document docs/scaling.md)

.PHONY: bench-replay
bench-replay: setup ## drover dlq replay beside a loop that only copies, on a real broker, into docs/dlq.md; QUICK=1 to try
	@$(CARGO) build --release --bin drover --example bench_replay
	@tests/bench/replay --dir "$(BUILT:$(PROFILE)=release)" $(if $(QUICK),--pairs 1,--document docs/dlq.md)

bench-keda: PROFILE = release
bench-keda: IMAGES = drover-controller=drover-controller drover-worker=drover-worker own-consumer=examples/own_consumer handler=examples/handler
.PHONY: bench-keda
bench-keda: setup ## Drover beside real KEDA and the HPA on a cluster, two loads and a burst, into docs/beside-keda.md; QUICK=1 to try
	@$(CARGO) build --profile $(PROFILE) --bins --example own_consumer --example handler
	@$(write_images)
	@tests/bench/keda --dir "$(KEDA_CLUSTER)" --drover "$(BUILT)/drover" --images "$(IMAGES_DIR)" \
	  $(if $(QUICK),--quick --results target/bench/keda-quick,--page docs/beside-keda.md)

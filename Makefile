SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := default

# The directories of the workspace's modules; tools/ stands apart from them.
MODULES = $(shell go list -m -f '{{.Dir}}')
LINT = $(shell GOWORK=off go -C tools tool -n golangci-lint)

.PHONY: default
default: test lint ## what you run while you work: test and lint

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-9s %s\n", $$1, $$2}'

.PHONY: test
test: ## every module's tests under the race detector, in random order
	go test -race -shuffle=on -timeout=20m work

.PHONY: lint
lint: ## golangci-lint on every module; the first run builds it
	bash .ci/run lint

.PHONY: fmt
fmt: ## format every module as lint wants it
	for dir in $(MODULES); do (cd "$$dir" && $(LINT) fmt ./...); done
	cd tools && GOWORK=off $(LINT) fmt ./...

.PHONY: docs
docs: ## doc comments, and README.md against the code; runs its commands
	bash .ci/run docs

.PHONY: house
house: ## how the code is laid out: arrows between files, circles, lengths, comments
	@GOWORK=off go -C tools run ./housecheck ..

.PHONY: bench
bench: ## the table of benchmarks
	cd bench && go run ./cmd/table

.PHONY: ab
ab: BASE ?= HEAD~1
ab: ## the working tree against another revision, in one program (BASE=v1.2.0)
	cd bench && go run ./cmd/ab -base $(BASE)

.PHONY: sim
sim: OUT ?= $(CURDIR)/sim/out
sim: ## an hour of 200 functions, shaped like Azure's, by four scaling policies: drawings in sim/out (OUT=$$PWD/docs/img renews README's)
	@echo "Plays an hour of 200 functions, whose calls are shaped like those published of Azure's, by each of four scaling"
	@echo "policies, in virtual time. A table follows; drawings and rows are written to $(OUT)."
	cd sim && go test -v -run '^TestAzureShapedTraffic$$' . -args -sim.functions 200 -sim.length 1h -sim.out $(OUT)

.PHONY: screenshots
screenshots: ## pictures of the console with examples/shop: docs/img/console*.webp
	bash observe/faasconsole/browser/run.sh pictures docs/img

.PHONY: cover
cover: ## coverage of the root module by its own tests: coverage.out
	GOWORK=off go test -coverpkg=./... -coverprofile=coverage.out ./...
	go tool cover -func=coverage.out | tail -1

.PHONY: fuzz
fuzz: ## every fuzz target for 30 seconds
	bash .ci/fuzz 30

.PHONY: nightly
nightly: modules ## what takes long: each module's tests by itself, soak under the race detector, five minutes of each fuzz target, the console's budgets
	FAAS_SOAK=1 go test -race -shuffle=on -timeout=2h work
	bash .ci/fuzz 300
	bash observe/faasconsole/browser/run.sh budget

.PHONY: torture
torture: KILLS ?= 100
torture: CUTS ?= 20
torture: ## kill -9 of processes with durable jobs, KILLS times each (100), and CUTS power cuts (20): none may be lost
	cd durable/faasnats/torture && FAAS_KILLS=$(KILLS) FAAS_POWERCUTS=$(CUTS) go test -v -count=1 -timeout=2h .

.PHONY: modules
modules: ## build, vet and test each module by itself, as its users have it
	bash .ci/run alone modules

.PHONY: api
api: ## changes of exported names since the last tag
	bash .ci/api

.PHONY: check
check: ## all that has to hold before a change is merged
	bash .ci/run

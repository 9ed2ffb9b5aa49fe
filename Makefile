# The targets below are the whole interface: `make help` lists them.
# Everything that is missing on a bare Debian 12 with Go and gcc is installed
# by tools/setup.sh, which the targets call.

GO      ?= go
BIN     := bin/wsgid
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -X main.version=$(VERSION)
TOOL    := $(GO) tool -modfile=tools/go.mod
CWARN   := -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wno-unused-parameter -Werror

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: ## the binary, bin/wsgid
	@mkdir -p bin
	$(GO) build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/wsgid

.PHONY: setup
setup: ## install what the demo needs (apt-get, go mod download)
	@tools/setup.sh run

.PHONY: setup-test
setup-test: ## install what the tests need
	@tools/setup.sh test

.PHONY: lint
lint: lint-c ## go vet, golangci-lint with the layer rules, C warnings as errors; the long tests too
	$(GO) vet -tags full,screenshots ./...
	$(TOOL) golangci-lint run --build-tags full,screenshots ./...

.PHONY: lint-c
lint-c:
	@for f in pyshim/*.c pyshim/ctest/*.c pyshim/testdata/extensions/*.c tests/bench/*.c; do \
	  [ -e "$$f" ] || continue; \
	  gcc $(CWARN) -O2 -Ipyshim -fsyntax-only "$$f" || exit 1; \
	done

.PHONY: test
test: setup-test build lint ## everything that must pass before a change lands
	@$(MAKE) --no-print-directory -j2 -Otarget test-unit test-asan # both wait more than they work
	@$(MAKE) --no-print-directory test-e2e

# The tests of worker processes run C, in which the race detector sees nothing:
# here only those of the Go side of pyshim do, and all of them in test-asan.
GOSIDE = ^($(shell sed -n 's/^func \(Test[A-Za-z0-9_]*\).*/\1/p' $(filter-out pyshim/worker_%,$(wildcard pyshim/*_test.go)) | paste -sd'|'))$$

.PHONY: test-unit
test-unit: ## package tests under the race detector
	$(GO) test -race -short -parallel 4 $$($(GO) list ./... | grep -v '/tests\|/pyshim$$')
	$(GO) test -race -short -parallel 4 -run '$(GOSIDE)' ./pyshim

.PHONY: test-asan
test-asan: ## the C code under AddressSanitizer: worker and embedded Python
	ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc WSGID_TEST_ASAN=1 $(GO) test -short -parallel 4 -asan ./pyshim/...

.PHONY: test-e2e
test-e2e: ## end to end behind the real Apache, binary built with the race detector
	WSGID_TEST_RACE=1 $(GO) test -short -count=1 -timeout 15m -parallel 8 ./tests/...

.PHONY: test-bare
test-bare: ## the README's commands on a fresh bare Debian 12 made for it, as root
	tools/bare.sh demo test

.PHONY: test-full
test-full: test ## make test, then the long versions: full loops, real applications, ASan end to end, fuzzing, bare Debian
	@tools/setup.sh full
	$(GO) test -race -count=1 -timeout 30m $$($(GO) list ./... | grep -v '/tests')
	$(GO) test -count=1 -timeout 40m -parallel 6 -tags full ./tests/...
	WSGID_TEST_ASAN=1 ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc $(GO) test -short -count=1 -timeout 40m -parallel 6 ./tests/...
	tools/fuzz.sh 60s
	@$(MAKE) --no-print-directory test-bare

.PHONY: bench
bench: build ## compare with mod_wsgi, uWSGI, gunicorn and a floor behind the same Apache
	@tools/setup.sh bench
	$(GO) run ./tests/bench $(BENCHFLAGS)

.PHONY: screenshots
screenshots: setup-test ## the pictures of the page in docs/images, of a real wsgid
	$(GO) test -count=1 -tags screenshots -run '^TestPageScreenshots$$' ./tests

.PHONY: demo
demo: ## install, build, and serve the example behind Apache and over HTTP
	@tools/setup.sh run
	@$(MAKE) --no-print-directory build
	@tools/demo.sh start

.PHONY: demo-clean
demo-clean: ## stop the demo and remove its accounts and files
	@tools/demo.sh clean

.PHONY: clean
clean: ## remove what was built
	rm -rf bin build

.DEFAULT_GOAL := help
# How many sessions make bench measures with.
SIZES ?= 100000,1000000
# What of libraries the release leaves out: the YAML of test helpers, and help from
# text/template, which makes the linker keep every method of every type.
TAGS := testify_yaml_fail,urfave_cli_no_template
# What need not be fast is compiled small: the demo's stand-ins.
UNINLINED := sightline/internal/services/sandbox=-l
.PHONY: help run test bench bench-full dev build generate generate-front generate-templates

help: ## List what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Try Sightline out with made-up data (needs Go alone)
	@echo 'Building Sightline. The first time takes a minute or two.'
	@go build -tags $(TAGS) -o bin/sightline ./cmd/web
	@exec bin/sightline demo

test: ## Check everything that must hold, as CI does
	@.ci/check

bench: ## Measure against the targets at 100,000 and 1,000,000 sessions (SIZES=…); prints ratios of one run
	@go run ./internal/bench -sizes $(SIZES)

bench-full: ## The same with 5,000,000 sessions too (6 GB of disk, some minutes the first time)
	@$(MAKE) --no-print-directory bench SIZES=100000,1000000,5000000

dev: ## Run the demo and reload the browser when a file changes
	@go tool templ generate --watch --path . --proxy=http://127.0.0.1:8420 --open-browser=false \
		--cmd="go run ./cmd/web demo --data-dir data/dev"; $(MAKE) --no-print-directory generate-templates

build: ## Build the release binary into bin/sightline
	@CGO_ENABLED=0 go build -tags $(TAGS) -trimpath -ldflags='-s -w' -gcflags=$(UNINLINED) -o bin/sightline ./cmd/web

generate: ## Rebuild the style sheet, the scripts and the Go code of the templates (needs Node 20)
	@$(MAKE) --no-print-directory generate-front
	@$(MAKE) --no-print-directory generate-templates

generate-front:
	cd web/assets && npm ci --no-audit --no-fund && node build.mjs
	cd web/static && go run pack.go
	cp web/assets/node_modules/axe-core/axe.min.js web/assets/node_modules/axe-core/LICENSE internal/e2e/testdata/axe/

generate-templates:
	go tool templ generate -path web/templates
	go tool templ generate -path internal/services/sandbox
	go run web/templates/once.go web/templates internal/services/sandbox
	gofmt -w web/templates internal/services/sandbox

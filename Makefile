.DEFAULT_GOAL := help
.PHONY: help generate

help: ## List what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

generate: ## Rebuild the style sheet, the scripts and the Go code of the templates (needs Node 20)
	cd web/assets && npm ci --no-audit --no-fund && node build.mjs
	go tool templ generate -path web/templates

# `make help` lists the targets. ARGS reaches the command: make run ARGS=--json
.PHONY: help run stream test check bench bench-full

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

run: ## rate the bundled sample on embedded Redis and ClickHouse, and say what came of it
	@scripts/setup run
	@.venv/bin/rater demo $(ARGS)

stream: ## the same through a real Kafka
	@scripts/setup run
	@scripts/need java openjdk-17-jre-headless
	@scripts/need mvn maven
	@.venv/bin/rater demo --stream $(ARGS)

test: ## every test, with the real servers it needs
	@scripts/test $(ARGS)

check: ## style, strict types and all but the slow tests: some minutes
	@scripts/check

bench: ## what an event costs, by part and door, with the ledger checked (ARGS=--help)
	@scripts/setup run
	@scripts/need java openjdk-17-jre-headless
	@scripts/need mvn maven
	@scripts/need libjemalloc libjemalloc2 || true
	@.venv/bin/python -m benchmarks $(ARGS)

bench-full: ## ten million wallets and a soak of ten minutes; run it again to go on where it stopped (ARGS=--help)
	@scripts/setup run
	@scripts/need java openjdk-17-jre-headless
	@scripts/need mvn maven
	@scripts/need libjemalloc libjemalloc2 || true
	@.venv/bin/python -m benchmarks.full $(ARGS)

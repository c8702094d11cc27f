# What is done often. CONTRIBUTING.md says more.

CARGO ?= cargo

.PHONY: help test test-api test-django lint fmt clippy doc deny bench bench-cost bench-sign-in bench-revocation bench-import dist

help:
	@echo 'make test           all tests, after installing what they need (Debian, as root) or saying what is missing'
	@echo 'make test-api       what the API does against what openapi.json says of it; fetches schemathesis from PyPI'
	@echo 'make test-django    docs/migrate-from-django.md as it is written; fetches Django and its libraries from PyPI'
	@echo 'make lint           formatting, clippy, documentation, dependencies'
	@echo 'make bench          what a request costs beside a bare proxy, and a sign-in beside its hash; see benches/README.md'
	@echo 'make bench-revocation  how long a revoked key is still let in elsewhere'
	@echo 'make bench-cost     only the former; ARGS="--only keys" and others'
	@echo 'make bench-sign-in  only the latter; ARGS="--rounds 3" and others'
	@echo 'make bench-import   what it costs to move 100,000 users in'
	@echo 'make dist           the binary to ship: target/dist/portcullis'

test:
	tests/prepare.sh
	$(CARGO) test --lib --bins --tests
	$(CARGO) test --doc

test-api:
	tests/prepare.sh
	$(CARGO) build
	tests/api/run.sh

test-django:
	tests/prepare.sh
	$(CARGO) build
	tests/django/run.sh

lint: fmt clippy doc deny

fmt:
	$(CARGO) fmt --check

clippy:
	$(CARGO) clippy --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps

# The advisories are not part of the tree. Where they cannot be fetched, the rest is still checked, and a line says so.
deny:
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny
	$(CARGO) deny check --hide-inclusion-graph bans licenses sources
	@if timeout 120 $(CARGO) deny fetch db >/dev/null 2>&1; then \
		echo '$(CARGO) deny check advisories' && $(CARGO) deny check --disable-fetch advisories; \
	else \
		echo 'NOT CHECKED: advisories. Their database cannot be reached from here.'; \
	fi

bench: bench-cost
	$(CARGO) bench --profile dist --bench sign_in

bench-cost:
	$(CARGO) build --profile dist --example bare_proxy
	$(CARGO) bench --profile dist --bench cost -- $(ARGS)

bench-revocation:
	$(CARGO) bench --profile dist --bench revocation

bench-sign-in:
	$(CARGO) bench --profile dist --bench sign_in -- $(ARGS)

bench-import:
	$(CARGO) bench --profile dist --bench import

dist:
	$(CARGO) build --locked --profile dist

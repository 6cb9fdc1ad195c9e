# SQLite's full-text index is behind a build tag; everything works without it,
# only searches for words take longer.
GO       ?= go
TAGS     ?= sqlite_fts5
FUZZTIME ?= 30s
ROUNDS   ?= 20

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
OPENAPI     = github.com/pb33f/libopenapi-validator/cmd/validate@v0.16.2
GOTEST      = $(GO) test -tags '$(TAGS)'

.PHONY: build demo test race fuzz lint interop netns browser compose-check two-servers-check bench soak crash

build:
	$(GO) build -tags '$(TAGS)' -trimpath -o bin/yubin ./cmd/yubin

demo: build
	bin/yubin demo

test:
	$(GO) vet -tags '$(TAGS)' ./...
	$(GOTEST) ./...

race:
	$(GOTEST) -race ./...

# Every fuzz target of every package, FUZZTIME each.
fuzz:
	@set -e; for p in $$($(GO) list ./...); do \
	  for f in $$($(GOTEST) -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "$$p $$f"; \
	    $(GOTEST) -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p; \
	  done; \
	done

lint:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not gofmt'ed:"; echo "$$unformatted"; exit 1; }
	$(GO) vet -tags '$(TAGS)' ./...
	$(GO) run $(STATICCHECK) -tags '$(TAGS)' ./...
	$(GO) run $(OPENAPI) webd/api.json

# Mail programs that others wrote, against a server of our own.
interop: build
	deploy/interop.sh

# The pages in Debian's chromium; pictures of them go to out/.
browser:
	YUBIN_BROWSER=1 YUBIN_SCREENSHOTS=$(CURDIR)/out $(GOTEST) -count=1 -v -run '^TestBrowser' ./webd

compose-check:
	deploy/compose-check.sh

# Two servers and a DNS in containers, which hand mail to each other.
two-servers-check:
	deploy/two-servers-check.sh

# The same in network namespaces, with IPv6; as root.
netns: build
	deploy/interop.sh netns

bench:
	$(GOTEST) -run '^$$' -bench . -benchmem ./...

# Kills the server ROUNDS times while mail comes and goes, and counts.
crash:
	YUBIN_CRASH_ROUNDS=$(ROUNDS) $(GOTEST) -count=1 -timeout 20m -v -run '^TestCrash' ./store ./relay ./internal/mailtest

soak:
	YUBIN_SOAK=$${YUBIN_SOAK:-10m} $(GOTEST) -count=1 -timeout 0 -v -run '^TestSoak' ./internal/mailtest

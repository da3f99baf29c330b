# xmpptap: `make help` lists the targets. CC, CFLAGS, CPPFLAGS and LDFLAGS are yours: what you give
# is added behind ours. V=1 shows the commands, WERROR=1 turns warnings into errors.

VERSION := 0.1.0

PREFIX  ?= /usr/local
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
DATADIR ?= $(PREFIX)/share/xmpptap
INSTALL ?= install

SOURCES := $(wildcard decoder/*.c logs/*.c certs/*.c proxy/*.c proxy/server/*.c proxy/replay/*.c)
HEADERS := $(wildcard decoder/*.h logs/*.h certs/*.h proxy/*.h proxy/server/*.h proxy/replay/*.h)
MAIN    := proxy/main.c
MAN1    := $(wildcard docs/*.1 docs/man/*.1)
SHARED  := $(wildcard proxy/server/profiles/*)

# Fuzzers link everything but main(), too. tests/fuzz/replay.c is the main() that gives each file of
# a fuzzer's corpus to it; with libFuzzer's main() instead it is the variant `fuzz`.
FUZZ         := $(basename $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SHARED  := $(filter-out $(FUZZ:%=%.c) tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))
FUZZ_SECONDS ?= 60

# Unit and golden tests link everything but main(); end-to-end tests link none of it, they talk to
# the program. What is not called test_*.c there is shared by the tests of its folder.
UNIT        := $(basename $(wildcard tests/unit/test_*.c tests/golden/test_*.c))
UNIT_SHARED := $(filter-out $(UNIT:%=%.c),$(wildcard tests/unit/*.c tests/golden/*.c)) \
               $(FUZZ_SHARED)
E2E         := $(basename $(wildcard tests/e2e/test_*.c))
E2E_SHARED  := $(filter-out $(E2E:%=%.c),$(wildcard tests/e2e/*.c))
INTEROP     := $(patsubst %,tests/interop/%.py,prosody_slixmpp matrix_quick namespaces balancer bridge \
               replay faults served_streams logins served_again serve_quick serve_world pep)
XMPPJS      := build/interop/node_modules/@xmpp/client/package.json
LABELS_MD   := tests/tools/labels_md
BENCH_LOAD  := $(filter-out tests/bench/count.c,$(wildcard tests/bench/*.c))
BENCH_TOOLS := build/release/tests/bench/load build/release/tests/bench/count

# ---- flags ----

# Where it is found it deflates the archive's members; zlib does otherwise.
LIBDEFLATE := $(shell pkg-config --exists libdeflate 2>/dev/null && echo libdeflate)
LIBS       := libuv expat openssl zlib jansson libidn2 libcares libidn $(LIBDEFLATE)
PKG_CFLAGS := $(shell pkg-config --cflags $(LIBS) 2>/dev/null)
PKG_LIBS   := $(shell pkg-config --libs $(LIBS) 2>/dev/null)
E2E_LIBS   := $(shell pkg-config --libs openssl cmocka 2>/dev/null)
UNIT_LIBS  := $(PKG_LIBS) $(E2E_LIBS) $(shell pkg-config --libs libgsasl 2>/dev/null)

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wswitch-enum -Wvla $(if $(WERROR),-Werror)
OUR_CFLAGS  := -std=c11 -D_GNU_SOURCE -DXMPPTAP_VERSION='"$(VERSION)"' $(WARNINGS) -O2 -g \
               -fstack-protector-strong -fPIE -pthread $(if $(LIBDEFLATE),-DHAVE_LIBDEFLATE) \
               $(PKG_CFLAGS)
OUR_LDFLAGS := -pie -pthread -Wl,-z,relro,-z,now

VARIANTS     := release asan tsan fuzz
CC_fuzz      := clang
HARDEN_release := -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
SANITIZE_asan  := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SANITIZE_tsan  := -fsanitize=thread -fno-omit-frame-pointer
FUZZ_MAIN_fuzz := -fsanitize=fuzzer
SANITIZE_fuzz  := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

Q     := $(if $(V),,@)
say    = $(if $(V),,@printf '  %-4s %s\n' $(1) $@)
quote  = '$(subst ','\'',$(1))'
jobs   = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

# ---- targets ----

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all check interop demo bench bench-deps deps docs install uninstall clean asan tsan fuzz \
        format lint help programs FORCE
MAKEFLAGS += --no-builtin-rules --no-print-directory

all: xmpptap ## build ./xmpptap (the default)

xmpptap: build/release/xmpptap
	$(Q)$(INSTALL) -m 755 $< $@

# The rules of one variant. Its file `flags` holds its command lines: with other flags, a new build.
define variant
COMPILE_$(1) = $$(or $$(CC_$(1)),$$(CC)) $$(OUR_CFLAGS) $$(HARDEN_$(1)) $$(SANITIZE_$(1)) \
               $$(CPPFLAGS) $$(CFLAGS)
LINK_$(1)    = $$(or $$(CC_$(1)),$$(CC)) $$(OUR_LDFLAGS) $$(SANITIZE_$(1)) $$(CFLAGS) $$(LDFLAGS)
OBJECTS_$(1) := $$(SOURCES:%.c=build/$(1)/%.o)
INNER_$(1)   := $$(filter-out build/$(1)/$$(MAIN:.c=.o),$$(OBJECTS_$(1)))

build/$(1)/flags: FORCE
	$$(if $$(PKG_LIBS),,$$(error missing: one of $$(LIBS), or pkg-config; run `make deps`))
	@mkdir -p $$(@D)
	@printf '%s\n' $$(call quote,$$(COMPILE_$(1)) $$(LINK_$(1)) $$(UNIT_LIBS)) >$$@.new
	@if cmp -s $$@.new $$@; then rm $$@.new; else mv $$@.new $$@; fi

build/$(1)/%.o: %.c build/$(1)/flags
	$$(call say,CC)
	@mkdir -p $$(@D)
	$$(Q)$$(COMPILE_$(1)) -MMD -MP -c -o $$@ $$<

build/$(1)/proxy/server/profile.o: $$(wildcard proxy/server/profiles/*.profile)

build/$(1)/xmpptap: $$(OBJECTS_$(1))
	$$(call say,LD)
	$$(Q)$$(LINK_$(1)) -o $$@ $$^ $$(PKG_LIBS)

$$(UNIT:%=build/$(1)/%): %: %.o $$(UNIT_SHARED:%.c=build/$(1)/%.o) $$(INNER_$(1))
	$$(call say,LD)
	$$(Q)$$(LINK_$(1)) -o $$@ $$^ $$(UNIT_LIBS)

$$(E2E:%=build/$(1)/%): %: %.o $$(E2E_SHARED:%.c=build/$(1)/%.o)
	$$(call say,LD)
	$$(Q)$$(LINK_$(1)) -o $$@ $$^ $$(E2E_LIBS)

$$(FUZZ:%=build/$(1)/%): %: %.o $$(FUZZ_SHARED:%.c=build/$(1)/%.o) $$(INNER_$(1)) \
                            $(if $(FUZZ_MAIN_$(1)),,build/$(1)/tests/fuzz/replay.o)
	$$(call say,LD)
	$$(Q)$$(LINK_$(1)) $$(FUZZ_MAIN_$(1)) -o $$@ $$^ $$(PKG_LIBS)

-include $$(patsubst %,build/$(1)/%.d,$$(basename $$(SOURCES) $$(UNIT_SHARED) $$(E2E_SHARED)) \
           $$(UNIT) $$(E2E) $$(FUZZ) $$(LABELS_MD) tests/fuzz/replay \
           $$(basename $$(wildcard tests/bench/*.c)))
endef
$(foreach v,$(VARIANTS),$(eval $(call variant,$(v))))

# ---- tests ----

RELEASE_TESTS := tests/headers tests/docs $(UNIT:%=build/release/%) $(FUZZ:%=build/release/%) \
                 $(E2E:%=build/release/%) $(INTEROP) tests/bench/instructions
ASAN_TESTS    := $(UNIT:%=build/asan/%) $(FUZZ:%=build/asan/%) $(E2E:%=build/asan/%)
# The peers of the end-to-end tests need no watching here, the program does; what is one thread's by
# itself (the embedded server, replaying, pure functions) has nothing to show.
TSAN_TESTS    := $(patsubst %,build/tsan/%,$(filter-out %/test_server %/test_server_% %/test_profile \
    %/test_fault %/test_replay% %/test_gate% %/test_sasl %/test_scan %/test_features,$(UNIT))) \
    $(filter %/prosody_slixmpp.py %/matrix_quick.py %/bridge.py,$(INTEROP)) \
    $(patsubst %,build/release/%,$(filter %/test_trace %/test_load %/test_kill \
    %/test_workers,$(E2E)))

# $(call test,PROGRAMS TO BUILD,STAGES): what did not build is a failed test among the others.
define test
@.ci/deps check
+@BUILT=yes; $(MAKE) $(jobs) -k programs PROGRAMS='$(filter build/%,$(1))' || BUILT=no; \
    export BUILT CC='$(CC)' HEADERS='$(HEADERS)' HEADER_CFLAGS=$(call quote,$(OUR_CFLAGS)); \
    tests/run-tests $(2)
endef

programs: $(PROGRAMS)

check: ## run every test; the last line is `N passed, N failed`
	$(call test,$(foreach v,release asan tsan,build/$(v)/xmpptap) build/release/$(LABELS_MD) \
	    build/release/tests/bench/load \
	    $(RELEASE_TESTS) $(ASAN_TESTS) $(TSAN_TESTS),release: $(RELEASE_TESTS) \
	    asan: $(ASAN_TESTS) tsan: $(TSAN_TESTS))

interop: ## every client with every server through the proxy, and with the embedded one
	@.ci/deps interop
	@$(MAKE) $(jobs) xmpptap $(XMPPJS)
	@status=0; for t in matrix serve own_tests; do \
	    /usr/bin/python3 -B tests/interop/$$t.py || status=1; done; exit $$status

asan: ## run the tests under the address and undefined behaviour sanitizers alone
	$(call test,build/asan/xmpptap $(ASAN_TESTS),asan: $(ASAN_TESTS))

tsan: ## run the tests under the thread sanitizer alone
	$(call test,build/tsan/xmpptap $(TSAN_TESTS),tsan: $(TSAN_TESTS))

fuzz: $(FUZZ:%=build/fuzz/%) ## run each fuzzer for FUZZ_SECONDS (60); needs clang
	$(if $(FUZZ),,$(error there is no tests/fuzz/fuzz_*.c))
	@set -e; for f in $(FUZZ); do \
	    new=build/fuzz/corpus/$${f##*/fuzz_}; old=tests/fuzz/corpus/$${f##*/fuzz_}; \
	    mkdir -p $$new; [ -d $$old ] || old=; \
	    build/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -dict=tests/fuzz/xmpp.dict \
	        -artifact_prefix=build/fuzz/ $$new $$old; \
	done

$(XMPPJS): tests/interop/package.json
	$(call say,NPM)
	@mkdir -p build/interop
	$(Q)cp $< build/interop/ && npm install --prefix build/interop --silent --no-audit --no-fund
	@touch $@

# ---- the rest ----

build/release/$(LABELS_MD): build/release/$(LABELS_MD).o
	$(call say,LD)
	$(Q)$(LINK_release) -o $@ $^

build/release/tests/bench/load: $(BENCH_LOAD:%.c=build/release/%.o)
build/release/tests/bench/count: build/release/tests/bench/count.o
$(BENCH_TOOLS):
	$(call say,LD)
	$(Q)$(LINK_release) -o $@ $^ $(PKG_LIBS)

bench: xmpptap $(BENCH_TOOLS) ## measure beside HAProxy and sslsplit (QUICK=1, ROUNDS=5, BENCH=logins,ping...)
	@/usr/bin/python3 -B tests/bench/run $(if $(QUICK),--quick) $(ROUNDS:%=--rounds %) \
	    $(BENCH:%=--only %)

bench-deps: ## install what `make bench` measures beside and with
	@.ci/deps bench

docs: build/release/$(LABELS_MD) ## write docs/labels.md from the label table
	$(Q)$< >docs/labels.md.new && mv docs/labels.md.new docs/labels.md

demo: ## build, then show a whole captured login on this machine, without a network
	@.ci/deps build
	@$(MAKE) $(jobs) xmpptap
	@./xmpptap demo

deps: ## install what is missing to build and test (Debian and its kin; asks for root only then)
	@.ci/deps check

install: xmpptap ## install to DESTDIR and PREFIX (/usr/local)
	$(INSTALL) -d $(DESTDIR)$(BINDIR)
	$(INSTALL) -m 755 xmpptap $(DESTDIR)$(BINDIR)/xmpptap
	$(if $(MAN1),$(INSTALL) -d $(DESTDIR)$(MANDIR)/man1)
	$(if $(MAN1),$(INSTALL) -m 644 $(MAN1) $(DESTDIR)$(MANDIR)/man1)
	$(INSTALL) -d $(DESTDIR)$(DATADIR)
	$(INSTALL) -m 644 $(SHARED) $(DESTDIR)$(DATADIR)

uninstall: ## remove what `make install` put there
	rm -f $(DESTDIR)$(BINDIR)/xmpptap $(patsubst %,$(DESTDIR)$(MANDIR)/man1/%,$(notdir $(MAN1)))
	rm -f $(patsubst %,$(DESTDIR)$(DATADIR)/%,$(notdir $(SHARED)))
	-rmdir $(DESTDIR)$(DATADIR) 2>/dev/null

clean: ## remove everything that was built
	rm -rf build xmpptap

C_FILES = $(wildcard $(SOURCES) $(HEADERS) tests/*/*.c tests/*/*.h)

format: ## format the C files (clang-format)
	clang-format -i $(C_FILES)

lint: ## read the C files with cppcheck and clang-tidy, where they are installed
	@found=; status=0; \
	if command -v cppcheck >/dev/null; then found=1; \
	    cppcheck -q --std=c11 --language=c --enable=warning,portability --inline-suppr \
	        --error-exitcode=1 -D_GNU_SOURCE -DXMPPTAP_VERSION='"$(VERSION)"' $(SOURCES) \
	        || status=1; fi; \
	if command -v clang-tidy >/dev/null; then found=1; \
	    clang-tidy --quiet --warnings-as-errors='*' --checks='$(TIDY)' $(SOURCES) \
	        -- $(OUR_CFLAGS) || status=1; fi; \
	[ -n "$$found" ] || { echo 'lint: neither cppcheck nor clang-tidy is installed' >&2; exit 1; }; \
	exit $$status

# Without the checks that find fault with what C has and this tree uses.
comma := ,
empty :=
TIDY  := $(subst $(empty) $(empty),$(comma),$(strip -* bugprone-* clang-analyzer-* \
         -bugprone-easily-swappable-parameters -bugprone-narrowing-conversions \
         -bugprone-implicit-widening-of-multiplication-result -bugprone-not-null-terminated-result \
         -bugprone-suspicious-string-compare -bugprone-sizeof-expression \
         -clang-analyzer-optin.performance.Padding \
         -clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling \
         -clang-analyzer-valist.Uninitialized))

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 12

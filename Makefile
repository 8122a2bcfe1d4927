# evercall: `make demo` shows it, `make test` proves it. Both install what is missing (Debian, as root).

PREFIX  ?= /usr/local
DESTDIR ?=
CARGO   ?= cargo

TARGET  := x86_64-unknown-linux-gnu
COMMAND := target/$(TARGET)/release/evercall

# Targets install packages: never two at once. cargo and the tests run in parallel by themselves.
.NOTPARALLEL:
.PHONY: build shim command programs docs demo test test-rust test-kernels test-clients fuzz fuzz-short bench lint fmt install uninstall deb image clean profiles needed-%

## build: dist/libevercall.so, the static dist/evercall, and what is installed beside them
build: shim command
	dist/evercall generate man dist/man
	dist/evercall generate completions dist/completions
	dist/evercall generate libraries dist/libevercall.so dist/lib
	CARGO="$(CARGO)" packaging/licences.sh $(TARGET) > dist/third-party-licences.txt.new
	mv dist/third-party-licences.txt.new dist/third-party-licences.txt
	dist/evercall generate conf dist/evercall.conf

shim: needed-build
	$(CARGO) build --locked --release -p evercall-shims
	install -D -m 755 target/release/libevercall.so dist/libevercall.so

# Static, so that it runs in any image; with --target, build scripts stay dynamic.
command: needed-build
	CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static" \
		$(CARGO) build --locked --release -p evercall --target $(TARGET)
	install -D -m 755 $(COMMAND) dist/evercall

programs: needed-test
	$(MAKE) -C test-programs

## docs: prints docs/rules.md from the table
docs: command
	dist/evercall rules --format markdown > docs/rules.md.new
	mv docs/rules.md.new docs/rules.md

## demo: legacy programs bare and under evercall, side by side, and the log
demo: build
	$(MAKE) -C test-programs demo
	./demo.sh

## test: everything that proves it
test: build programs test-rust

test-rust:
	$(CARGO) test --locked -p evercall -p evercall-rules
	$(CARGO) test --locked -p evercall-shims

## test-kernels: every test program on Debian's kernels, bare and under evercall, in virtual machines
test-kernels: needed-kernels shim command programs
	$(CARGO) test --locked -p evercall --test kernels -- --nocapture
	$(CARGO) test --locked -p evercall --test cgroup_kernels -- --nocapture

## test-clients: more old programs in containers with limits, on more kernels: several minutes
test-clients: needed-kernels shim
	$(CARGO) test --locked -p evercall --test cgroup_kernels -- --nocapture --include-ignored --test-threads=1

## fuzz: the fuzz targets, FUZZ_SECONDS each (600); fuzz-short: 60 seconds each, as CI does. Both need nightly Rust
fuzz:
	@fuzz/run.sh $(or $(FUZZ_SECONDS),600) $(FUZZ_TARGETS)

fuzz-short:
	@fuzz/run.sh $(or $(FUZZ_SECONDS),60) $(FUZZ_TARGETS)

## profiles: profiles/*.json anew, by `evercall probe` on Debian's kernels in virtual machines
profiles: needed-kernels command
	profiles/make.sh

## bench: ratios against bare and against peers
bench: build needed-bench
	$(CARGO) bench --locked --bench bench

## lint: rustfmt and clippy, warnings are errors. Not part of `test`: another clippy finds other things
# The shim goes by itself, since in one run with the command its `log` would be built with std.
lint: needed-lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --exclude evercall-shims --all-targets -- -D warnings
	$(CARGO) clippy --locked -p evercall-shims --all-targets -- -D warnings
	$(CARGO) clippy --locked -p evercall --test kernels --test cgroup_kernels -- -D warnings

fmt:
	$(CARGO) fmt --all

## install: PREFIX=/usr/local, DESTDIR=; what is built already is taken as it is
install:
	@[ -e dist/evercall.conf ] || $(MAKE) --no-print-directory build
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" packaging/install.sh install

uninstall:
	PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" packaging/install.sh uninstall

## deb: dist/evercall_VERSION_amd64.deb
deb: build needed-deb
	packaging/deb.sh dist

## image: dist/evercall-image.tar, evercall as an image from scratch (docker load, podman load, skopeo copy); SOURCE_URL=
image: build
	packaging/image.sh dist/evercall-image.tar
clean:
	rm -rf target dist test-programs/build

needed-%:
	@./install-needed.sh $*

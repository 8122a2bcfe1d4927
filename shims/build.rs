//! Link arguments of `libevercall.so`: freestanding, few segments, and no panic path.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A frame before the assembly of `syscall` and `execl` would shift the arguments on the stack
    // (arch/x86_64_doors.rs). Rust 1.88 has naked functions for that; 1.85 has not.
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    for flag in ["force-frame-pointers", "instrument-coverage"] {
        assert!(
            !flags.contains(flag),
            "libevercall.so cannot be built with -C {flag}: take it out of RUSTFLAGS"
        );
    }
    for argument in [
        // One linker everywhere: newer toolchains default to lld, which lays out four segments.
        "-fuse-ld=bfd",
        "-nostdlib",
        "-nostartfiles",
        "-Wl,-soname,libevercall.so",
        // As the interpreter of a static program it is started by the kernel itself.
        "-Wl,-e,evercall_entry",
        // Loaders before glibc 2.5 read DT_HASH only, musl and newer glibc builds like DT_GNU_HASH.
        "-Wl,--hash-style=both",
        "-Wl,-z,noexecstack",
        // Before other constructors make calls; glibc honours it for one library.
        "-Wl,-z,initfirst",
        // The compiler merges like functions into calls of an exported one: those stay inside.
        "-Wl,-Bsymbolic-functions",
        // Two segments instead of five: each mapping costs every exec.
        "-Wl,-z,noseparate-code",
        "-Wl,-z,norelro",
        "-Wl,-z,max-page-size=4096",
        "-Wl,--build-id=none",
        "-Wl,--gc-sections",
        // Any undefined symbol but the weak ones fails the link; so does a panic path (lib.rs).
        "-Wl,-z,defs",
    ] {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
}

//! What is measured with: the shim, the peers, and the C programs, built or found before anything is timed.

use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the sources stand, and where what is built from them goes.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches");
const BUILT: &str = env!("CARGO_TARGET_TMPDIR");

/// An empty preload in two segments instead of five, as the shim is linked: each mapping costs every exec.
const EMPTY_FLAGS: [&str; 6] =
    ["-shared", "-fPIC", "-nostdlib", "-nostartfiles", "-Wl,-z,noseparate-code", "-Wl,-z,norelro"];

/// The peer as a user of redhook gets it by `cargo build --release`, without this workspace's profile.
const PEER_PROFILE: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_PANIC", "unwind"),
    ("CARGO_PROFILE_RELEASE_LTO", "false"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_STRIP", "none"),
];

/// A library to preload, or why there is none.
pub type Peer = Result<PathBuf, String>;

/// Everything that is measured, or measured with.
pub struct Artifacts {
    /// `libevercall.so`.
    pub shim: PathBuf,
    /// A preload that holds nothing.
    pub empty: PathBuf,
    /// A preload that hands a few calls on, and does nothing else.
    pub forward: PathBuf,
    /// One hook made with the redhook crate.
    pub redhook: Peer,
    /// libeatmydata, a small preload written in C.
    pub eatmydata: Peer,
    /// libfakeroot.
    pub fakeroot: Peer,
    /// libfaketime.
    pub faketime: Peer,
    /// `programs/handed_on.c`.
    pub handed_on: PathBuf,
    /// `programs/matched.c`.
    pub matched: PathBuf,
    /// `programs/translated.c`.
    pub translated: PathBuf,
    /// `programs/clock.c`.
    pub clock: PathBuf,
    /// `programs/modern.c`.
    pub modern: PathBuf,
    /// `programs/refuse.c`, static: its own start is part of what is timed.
    pub refuse: PathBuf,
    /// `programs/starts.c`.
    pub starts: PathBuf,
    /// The command, next to the shim.
    pub command: Peer,
}

impl Artifacts {
    /// Builds what is built and finds what is installed. Errors: no shim, or no C compiler that works.
    pub fn collect() -> Result<Artifacts, Box<dyn Error>> {
        Ok(Artifacts {
            shim: shim()?,
            empty: compile("peers/empty.c", "empty.so", &EMPTY_FLAGS)?,
            forward: compile("peers/forward.c", "forward.so", &["-shared", "-fPIC"])?,
            redhook: redhook(),
            eatmydata: installed("libeatmydata1", "libeatmydata.so.1"),
            // The System V flavour, which Debian's `fakeroot` takes too.
            fakeroot: installed("libfakeroot", "libfakeroot-sysv.so"),
            faketime: installed("libfaketime", "libfaketime.so.1"),
            handed_on: compile("programs/handed_on.c", "handed_on", &[])?,
            matched: compile("programs/matched.c", "matched", &[])?,
            translated: compile("programs/translated.c", "translated", &[])?,
            clock: compile("programs/clock.c", "clock", &[])?,
            modern: compile("programs/modern.c", "modern", &[])?,
            refuse: compile("programs/refuse.c", "refuse", &["-static"])?,
            starts: compile("programs/starts.c", "starts", &[])?,
            command: command(),
        })
    }
}

fn shim() -> Result<PathBuf, String> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/libevercall.so");
    let path = std::env::var_os("EVERCALL_BENCH_SHIM").map_or_else(default, PathBuf::from);
    match path.canonicalize() {
        Ok(path) if path.is_file() => Ok(path),
        _ => Err(format!("{} is missing: run `make build` first", path.display())),
    }
}

fn command() -> Peer {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/evercall");
    if path.is_file() { Ok(path) } else { Err("make command".into()) }
}

fn variable_or(name: &str, default: &str) -> OsString {
    std::env::var_os(name).unwrap_or_else(|| default.into())
}

fn compile(source: &str, name: &str, flags: &[&str]) -> Result<PathBuf, Box<dyn Error>> {
    let built = Path::new(BUILT).join(name);
    let compiler = variable_or("CC", "cc");
    let status = Command::new(&compiler)
        .args(["-O2", "-Wall", "-Wextra"])
        .args(flags)
        .arg("-o")
        .arg(&built)
        .arg(Path::new(SOURCES).join(source))
        .arg("-ldl") // where glibc before 2.34 keeps dlsym
        .status()
        .map_err(|error| format!("cannot start {}: {error}", Path::new(&compiler).display()))?;
    if status.success() { Ok(built) } else { Err(format!("cannot compile benches/{source}").into()) }
}

/// Built into a folder of its own: this build's profile is another than the workspace's.
fn redhook() -> Peer {
    let target = Path::new(BUILT).join("redhook-peer");
    let manifest = Path::new(SOURCES).join("peers/redhook-peer/Cargo.toml");
    let built = Command::new(variable_or("CARGO", "cargo"))
        .args(["build", "--release", "--quiet", "--manifest-path"])
        .arg(&manifest)
        .arg("--target-dir")
        .arg(&target)
        .envs(PEER_PROFILE)
        .status()
        .is_ok_and(|status| status.success());
    if built { Ok(target.join("release/libredhook_peer.so")) } else { Err("cargo could not build it".into()) }
}

/// A file of a Debian package, by its name without folder.
fn installed(package: &str, file: &str) -> Peer {
    let listed = Command::new("dpkg").args(["-L", package]).output();
    let list = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    list.lines()
        .map(PathBuf::from)
        .find(|path| path.ends_with(file) && path.exists())
        .ok_or_else(|| format!("apt install {package}"))
}

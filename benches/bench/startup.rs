//! What a preload adds to a program's start: exec of /bin/true.

use crate::artifacts::{Artifacts, Peer};
use crate::machine::ENVIRONMENT;
use crate::report::{Goal, Row};
use crate::stats::{Pair, Summary};
use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::time::Instant;

/// Execs in a batch.
const BATCH: u32 = 40;

/// What evercall's start-up is to stay within, as a ratio to bare.
const LIMIT: f64 = 1.07;

// The standard library's `Command` copies the environment at each start; here only the exec is to be timed.
unsafe extern "C" {
    fn posix_spawn(
        pid: *mut c_int,
        path: *const c_char,
        actions: *const c_void,
        attributes: *const c_void,
        arguments: *const *mut c_char,
        environment: *const *mut c_char,
    ) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
}

/// One environment to start /bin/true in.
struct Variant {
    name: &'static str,
    goal: Goal,
    /// The environment's strings, or why the variant cannot run.
    environment: Result<Vec<CString>, String>,
}

impl Variant {
    fn new(name: &'static str, preload: Option<&Path>, more: &[&str]) -> io::Result<Variant> {
        let mut environment = Vec::new();
        for (name, value) in ENVIRONMENT {
            environment.push(CString::new(format!("{name}={value}"))?);
        }
        for &string in more {
            environment.push(CString::new(string)?);
        }
        if let Some(path) = preload {
            environment.push(CString::new([b"LD_PRELOAD=", path.as_os_str().as_bytes()].concat())?);
        }
        Ok(Variant { name, goal: Goal::None, environment: Ok(environment) })
    }

    fn peer(name: &'static str, preload: &Peer, more: &[&str]) -> io::Result<Variant> {
        let mut variant = match preload {
            Ok(path) => Variant::new(name, Some(path), more)?,
            Err(why) => Variant { name, goal: Goal::None, environment: Err(why.clone()) },
        };
        variant.goal = Goal::Peer;
        Ok(variant)
    }
}

/// The variants, bare first.
fn variants(artifacts: &Artifacts) -> io::Result<Vec<Variant>> {
    let mut evercall = Variant::new("libevercall", Some(&artifacts.shim), &[])?;
    evercall.goal = Goal::RatioBelowPeers(LIMIT);
    Ok(vec![
        Variant::new("bare", None, &[])?,
        Variant::new("empty preload", Some(&artifacts.empty), &[])?,
        evercall,
        Variant::peer("libeatmydata", &artifacts.eatmydata, &[])?,
        // By its absolute path and without its daemon: the library alone. `fakeroot` itself sets a bare name
        // and an LD_LIBRARY_PATH of several folders, which every exec then searches.
        Variant::peer("libfakeroot", &artifacts.fakeroot, &[])?,
        Variant::peer("libfaketime", &artifacts.faketime, &["FAKETIME=+0"])?,
        Variant::peer("redhook, one hook", &artifacts.redhook, &[])?,
    ])
}

/// Times all variants, in turn within each round.
pub fn measure(artifacts: &Artifacts, rounds: usize) -> io::Result<Vec<Row>> {
    let variants = variants(artifacts)?;
    let mut times = vec![Vec::with_capacity(rounds); variants.len()];
    for round in 0..=rounds {
        for step in 0..variants.len() {
            // Each round starts with another variant, so that none always follows the same one.
            let index = (round + step) % variants.len();
            if let Ok(environment) = &variants[index].environment {
                let time = batch(environment)?;
                // The first round warms the caches up.
                if round > 0 {
                    times[index].push(time);
                }
            }
        }
    }
    let rows = variants.into_iter().zip(&times).map(|(variant, measured)| row(variant, &times[0], measured));
    Ok(rows.collect())
}

fn row(variant: Variant, bare: &[f64], measured: &[f64]) -> Row {
    let pairs: Vec<Pair> =
        bare.iter().zip(measured).map(|(&reference, &measured)| Pair { reference, measured }).collect();
    Row {
        measure: "exec of /bin/true".into(),
        variant: variant.name,
        goal: variant.goal,
        summary: variant.environment.and_then(|_| Summary::of(&pairs).ok_or("no figures".into())),
    }
}

/// Nanoseconds of one exec, from before its start to its end: the mean over a batch.
fn batch(environment: &[CString]) -> io::Result<f64> {
    let environment = null_ended(environment);
    let start = Instant::now();
    for _ in 0..BATCH {
        run_true(&environment)?;
    }
    Ok(start.elapsed().as_nanos() as f64 / f64::from(BATCH))
}

/// The form in which C takes a list of strings. The pointers live as long as the strings.
fn null_ended(strings: &[CString]) -> Vec<*mut c_char> {
    strings.iter().map(|string| string.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
}

/// Runs /bin/true to its end. posix_spawn(3) shares memory until the exec, as vfork(2) does, so nothing of
/// this process's own size is in the figure.
fn run_true(environment: &[*mut c_char]) -> io::Result<()> {
    let path = c"/bin/true".as_ptr();
    let arguments = [path.cast_mut(), ptr::null_mut()];
    let (mut pid, mut status) = (0, 0);
    // SAFETY: both lists end with NULL and hold live strings, none of which is written to.
    let error = unsafe {
        posix_spawn(&mut pid, path, ptr::null(), ptr::null(), arguments.as_ptr(), environment.as_ptr())
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: the child is ours, and the status is a live int.
    if unsafe { waitpid(pid, &mut status, 0) } != pid {
        return Err(io::Error::last_os_error());
    }
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::other(format!("/bin/true ended with status {status:#x}")))
    }
}

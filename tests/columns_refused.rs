//! Calls that container profiles refuse with EPERM, and that programs do without where the kernel lacks them: what
//! Debian's numactl and keyutils make of a filter, bare and under the shim.

#[path = "common/ask.rs"]
mod ask;
mod common;

use ask::{answer, ask_repaired, outcome};
use common::{bare, denied, output, shim, text};
use std::process::Command;

/// Refused by Docker's profile without CAP_SYS_NICE.
const NUMA: &str = "get_mempolicy,set_mempolicy,mbind,migrate_pages,move_pages";

/// Refused by Docker's profile.
const KEYS: &str = "keyctl,add_key,request_key";

/// What a program prints, on both outputs, and its exit status.
fn said(command: &mut Command, words: &[&str]) -> (String, Option<i32>) {
    let output = output(command.args(words));
    (text(&output.stdout) + &text(&output.stderr), output.status.code())
}

/// The same on a host that refuses calls: bare, and under the shim.
fn refused(calls: &str, words: &[&str]) -> [(String, Option<i32>); 2] {
    [false, true].map(|preload| {
        let mut command = denied("EPERM", calls);
        if preload {
            command.env("LD_PRELOAD", shim());
        }
        said(&mut command, words)
    })
}

fn is_there(program: &str) -> bool {
    bare("sh")
        .args(["-c", "command -v \"$0\" >/dev/null", program])
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn libnuma_sees_a_kernel_without_numa() {
    if !is_there("numactl") {
        skip!("numactl is not here");
    }
    let (native, _) = said(&mut bare("numactl"), &["--show"]);
    if !native.contains("policy: default") {
        skip!("this kernel has no NUMA: {native}");
    }
    let [(bare_words, _), (words, _)] = refused(NUMA, &["numactl", "--show"]);
    assert!(bare_words.contains("get_mempolicy: Operation not permitted"), "{bare_words}");
    assert!(words.contains("No NUMA support available on this system."), "{words}");
    assert!(!words.contains("not permitted"), "{words}");
    let interleaved = ["numactl", "--interleave=all", "true"];
    assert_eq!(said(&mut bare("numactl"), &interleaved[1..]), (String::new(), Some(0)));
    let [(bare_words, _), (words, status)] = refused(NUMA, &interleaved);
    let words = words.trim();
    assert!(bare_words.contains("set_mempolicy: Operation not permitted"), "{bare_words}");
    assert_eq!(
        (words, status),
        ("numactl: This system does not support NUMA policy", Some(1)),
        "never pretended"
    );
    // It asks get_mempolicy alone before it reads /sys.
    let [(bare_words, _), (words, _)] = refused(NUMA, &["numactl", "--hardware"]);
    assert!(bare_words.starts_with("available: "), "{bare_words}");
    assert_eq!(words, "No NUMA available on this system\n");
}

#[test]
fn keyutils_see_a_kernel_without_keys() {
    if !is_there("keyctl") {
        skip!("keyutils are not here");
    }
    for (words, call) in [
        (&["keyctl", "show"][..], "Unable to dump key"),
        (&["keyctl", "list", "@s"], "keyctl_read_alloc"),
        (&["keyctl", "add", "user", "evercall-test", "b", "@s"], "add_key"),
        (&["keyctl", "request", "user", "evercall-test"], "request_key"),
    ] {
        let [(bare_words, _), (under, _)] = refused(KEYS, words);
        assert!(bare_words.contains(&format!("{call}: Operation not permitted")), "{words:?}: {bare_words}");
        assert!(under.contains(&format!("{call}: Function not implemented")), "{words:?}: {under}");
    }
}

/// EPERM that the kernel gives, under a filter that refuses something else: another's process, another's key.
#[test]
fn the_kernels_own_eperm_stays() {
    if !ask::is_root() {
        skip!("needs root, to become nobody");
    }
    let nobody = ask::Nobody::new();
    // migrate_pages of process 1; keyctl(KEYCTL_GET_PERSISTENT) of root.
    let nodes = "syscall 256 1 64 longs:1 longs:1";
    for question in [nodes, "syscall 250 22 0 -3 0"] {
        let unfiltered = answer(&mut nobody.ask(None), question);
        if ["-1 38", "-1 95"].contains(&outcome(&unfiltered)) {
            skip!("this kernel does without: {question}");
        }
        assert_eq!(outcome(&unfiltered), "-1 1", "{question}");
        let under = answer(&mut nobody.ask(Some(("ENOSYS", "uselib"))), question);
        assert_eq!(outcome(&under), "-1 1", "{question}");
        let refused = answer(&mut nobody.ask(Some(("EPERM", "migrate_pages,keyctl"))), question);
        assert_eq!(outcome(&refused), "-1 38", "{question}");
    }
    assert_eq!(outcome(&answer(&mut ask_repaired("EPERM", "migrate_pages"), nodes)), "-1 38");
}

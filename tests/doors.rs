//! The doors, from outside: what goes in at a symbol comes out at the kernel, and what the kernel or a rule
//! answers comes back as libc would have given it.

mod common;

use common::{bare, denied, program, shim, succeed, text, under_shim};
use std::process::Command;

/// The settings under which a call takes another way through the shim.
const SETTINGS: [(&str, &str); 4] =
    [("EVERCALL_LOG", "off"), ("EVERCALL_LOG", "count"), ("EVERCALL_LOG", "all"), ("EVERCALL", "off")];

/// What a program prints bare, which is what it must print under the shim with each of the settings.
fn prints_the_same(name: &str) -> String {
    let native = text(&succeed(&mut bare(program(name))).stdout);
    for (setting, value) in SETTINGS {
        let under = text(&succeed(under_shim(program(name)).env(setting, value)).stdout);
        for (under, native) in under.lines().zip(native.lines()) {
            assert_eq!(under, native, "{name} under {setting}={value}");
        }
        assert_eq!(under.lines().count(), native.lines().count(), "{name} under {setting}={value}");
    }
    native
}

/// `syscall()` passes the number and six arguments, all 64 bits of them, and gives all 64 bits back: for
/// numbers that no rule claims, that a rule claims, that are watched, and that are out of the table. The
/// program is asked once for each call: no call is made twice.
#[test]
fn syscall_passes_seven_words_and_a_whole_result() {
    for libc in ["syscall_registers", "syscall_registers.musl"] {
        let native = prints_the_same(libc);
        let words = "1111000011110001 2222000022220002 3333000033330003 4444000044440004 5555000055550005 6666000066660006";
        assert_eq!(native.lines().count(), 2 * 12 * 5, "{native}");
        assert!(native.lines().all(|line| line.contains(words)), "{native}");
    }
}

/// Calls whose sixth argument decides, calls with a long result, and calls that fail.
#[test]
fn handed_on_calls_give_the_kernels_results() {
    let native = prints_the_same("six_arguments");
    assert!(native.contains("the third page holds c\n"), "{native}");
    assert!(native.contains("lseek far: 1250999896491, errno 77\n"), "{native}");
    prints_the_same("six_arguments.musl");
}

/// execl, execle and execlp with one to twelve arguments: registers and stack become one list.
#[test]
fn variadic_exec_passes_every_argument() {
    let folder = program("exec_lists").parent().unwrap().display().to_string();
    for function in ["execl", "execle", "execlp"] {
        for count in 1..=12 {
            let run = |mut command: Command| {
                command.args([function, &count.to_string()]).env("PATH", &folder).env("ONLY", "that");
                text(&succeed(&mut command).stdout)
            };
            let native = run(bare(program("exec_lists")));
            assert!(native.starts_with(&format!("{count} shown")), "{native}");
            assert_eq!(native.contains("ONLY=this"), function == "execle", "{native}");
            assert_eq!(run(under_shim(program("exec_lists"))), native, "{function} with {count}");
        }
    }
}

/// An exec that fails gives -1 and ENOENT, under musl too, whose libc is mapped beside the vDSO; it leaves
/// the caller's stack and registers as they were.
#[test]
fn a_failing_variadic_exec_leaves_the_stack_intact() {
    let native = prints_the_same("exec_lists");
    assert_eq!(native, "7200 failed as they should\n");
    prints_the_same("exec_lists.musl");
}

/// A translated call that succeeds leaves errno alone, one that fails sets it: as the kernel's own answers.
#[test]
fn a_successful_translation_leaves_errno_alone() {
    let kernel = text(&succeed(&mut bare(program("errno_kept"))).stdout);
    // musl's epoll_create looks at no size.
    for (name, succeeding) in [("errno_kept", 4), ("errno_kept.musl", 5)] {
        let native = text(&succeed(&mut bare(program(name))).stdout);
        assert_eq!(native.matches("succeeds, errno 77\n").count(), succeeding, "{native}");
        let forced =
            succeed(under_shim(program(name)).env("EVERCALL_FORCE", "all").env("EVERCALL_LOG", "all"));
        assert_eq!(text(&forced.stdout), kernel, "{name}");
        assert_eq!(text(&forced.stderr).lines().count(), 9, "not every call was translated");
        // Asked natively first, the host says ENOSYS through libc; nothing of that is left behind.
        let repaired = succeed(
            denied("ENOSYS", "epoll_create,ustat,sysfs").arg(program(name)).env("LD_PRELOAD", shim()),
        );
        assert_eq!(text(&repaired.stdout), native, "{name}, denied");
    }
}

/// The program's own libc gets the calls that no rule acts on, not the kernel: fakeroot's idea of the owner
/// lives in a preload behind the shim.
#[test]
fn handed_on_calls_reach_the_next_preload() {
    let library = common::root().join("test-programs/build/libsecond.so");
    let preload = format!("{}:{}", shim().display(), library.display());
    let output = succeed(bare(program("next")).env("LD_PRELOAD", preload));
    assert_eq!(text(&output.stdout), "4242\n4242\n");
}

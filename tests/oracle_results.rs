//! The kernel as oracle for calls that answer otherwise than they used to: made natively and by the forced rule
//! side by side, over generated arguments, with the same outcome: result, errno, bytes, positions, and no
//! descriptor left behind.

#[path = "common/ask.rs"]
mod ask;
mod common;
#[path = "common/side_by_side.rs"]
mod side_by_side;

use ask::answers;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use side_by_side::{SideBySide, config, edges, maybe};

const FILES: SideBySide =
    SideBySide { program: "results_files", rules: "sendfile,splice", has_symbol: |_| true };

fn offset() -> impl Strategy<Value = String> {
    const FAR: &[i64] = &[0, 1000, 4096, i64::MIN + 3, -1, -500, 1 << 40];
    prop_oneof![6 => edges(FAR, 3000).prop_map(|n| n.to_string()), 1 => select(&["bad", "kernel", "zero-ro", "edge:7"][..]).prop_map(str::to_owned)]
}

fn length() -> impl Strategy<Value = i64> {
    edges(&[0, 4096, 60_000, -1, i64::MIN, 0x7fff_f000], 3000)
}

/// How a file is opened: reading or writing where the other is needed, O_PATH, access mode 3, O_APPEND.
fn modes() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        10 => Just(""), 1 => Just(" inmode=rw"), 1 => Just(" inmode=w"), 1 => Just(" outmode=w"), 1 => Just(" outmode=r"),
        1 => Just(" outmode=rwa"), 1 => Just(" inmode=p"), 1 => Just(" outmode=p"), 1 => Just(" inmode=n"), 1 => Just(" outmode=n")
    ]
}

/// What surrounds a call: the size limit of files, a nonblocking output, no descriptor left.
fn around() -> impl Strategy<Value = String> {
    let limit = prop_oneof![5 => Just(String::new()), 1 => (0..2500u32).prop_map(|n| format!(" limit={n}"))];
    (limit, prop_oneof![3 => Just(""), 1 => Just(" nonblock=1")])
        .prop_map(|(limit, nonblock)| format!("{limit}{nonblock}"))
}

fn sendfile() -> impl Strategy<Value = String> {
    let size = prop_oneof![3 => 0..3000i64, 1 => 60_000..140_000i64];
    let kinds = prop_oneof![
        6 => Just(" in="), 2 => Just(" in=dir"), 2 => Just(" in=pipe"), 1 => Just(" in=closed")
    ];
    let outputs = prop_oneof![
        6 => Just(" out="), 1 => Just(" out=dir"), 3 => Just(" out=open"), 2 => Just(" out=open outsize=3000"), 1 => Just(" out=gone"), 1 => Just(" out=closed"),
        3 => Just(" out=stream"), 1 => Just(" out=null outmode=rw"), 1 => Just(" out=temp")
    ];
    let places = (
        maybe("off", offset()),
        maybe("inpos", (0..2000i64).prop_map(|n| n.to_string())),
        maybe("outpos", (0..2000i64).prop_map(|n| n.to_string())),
    );
    (kinds, outputs, modes(), size, places, length(), around(), 0..2u32).prop_map(
        |(input, output, modes, size, (off, inpos, outpos), length, around, wide)| {
            // How much a full pipe or socket takes is the kernel's choice.
            let short = output.contains("open") || output.contains("stream");
            let length = if short && length > 3000 { 3000 } else { length };
            format!("sendfile{input}{output}{modes} insize={size} len={length}{off}{inpos}{outpos}{around} wide={wide}")
        },
    )
}

fn splice() -> impl Strategy<Value = String> {
    let to_pipe = (
        prop_oneof![6 => Just("in="), 1 => Just("in=closed"), 1 => Just("in=dir")],
        select(
            &[
                "out=open",
                "out=open",
                "out=open outsize=3000",
                "out=gone",
                "out=open outsize=65536 nonblock=1",
            ][..],
        ),
    );
    let from_pipe = (
        select(&["in=filled", "in=held", "in=filled insize=0", "in=filled insize=60000"][..]),
        prop_oneof![6 => Just("out="), 1 => Just("out=stream"), 1 => Just("out=closed"), 1 => Just("out=dir")],
    );
    let neither = (select(&["in=", "in=filled"][..]), select(&["out=", "out=open"][..]));
    let ends = prop_oneof![
        (to_pipe, length()).prop_map(|((i, o), length)| (i, o, length.min(3000))),
        (from_pipe, length()).prop_map(|((i, o), length)| (i, o, length)),
        (neither, length()).prop_map(|((i, o), length)| (i, o, length)),
    ];
    let places = (
        maybe("offin", offset()),
        maybe("offout", offset()),
        maybe("inpos", (0..2000i64).prop_map(|n| n.to_string())),
        maybe("outpos", (0..2000i64).prop_map(|n| n.to_string())),
    );
    let flags = prop_oneof![6 => 0..16u32, 1 => any::<u32>()];
    (ends, modes(), 1..3000i64, places, flags, around()).prop_map(
        |((input, output, length), modes, size, (offin, offout, inpos, outpos), flags, around)| {
            let size = if input.contains("insize") { String::new() } else { format!(" insize={size}") };
            // A pipe that somebody may still write to is waited for.
            format!("splice {input} {output}{modes}{size} len={length}{offin}{offout}{inpos}{outpos} flags={flags}{around}")
        },
    )
}

/// Where a line of `ask` points: a buffer, its edge, or nothing of the program's.
fn place(size: i64) -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(format!("buf:{size}")), 1 => (0..40u32).prop_map(|n| format!("edge:{n}")),
        1 => select(&["null", "bad", "kernel", "none"][..]).prop_map(str::to_owned)]
}

fn affinity() -> impl Strategy<Value = String> {
    let thread = prop_oneof![6 => Just(0i64), 1 => select(&[1i64, -1, 999_999_999, 1 << 32])];
    // A kernel's mask is of 1024 bytes at most.
    let size =
        || edges(&[0, 8, 16, 32, 64, 128, 1024, 4096], 200).prop_map(|size| if size < 0 { 8 } else { size });
    let by_symbol = (thread.clone(), size())
        .prop_map(|(thread, size)| format!("symbol sched_getaffinity {thread} {size} buf:{size}"));
    let by_number =
        (thread, prop_oneof![9 => size(), 1 => select(&[-1i64, 1 << 32, (1 << 32) + 64])], place(1024))
            .prop_map(|(thread, size, place)| format!("syscall 204 {thread} {size} {place}"));
    prop_oneof![by_symbol, by_number]
}

/// The question and what stands, which start as 0 here; and what only the kernel can set.
fn personality() -> impl Strategy<Value = String> {
    let value = select(&[0xffff_ffffu64, 0xffff_ffff, 0, 8, 0x20000, 0x40000, 0x1_ffff_ffff, 0x1_0000_0000]);
    (select(&["syscall 135", "symbol personality"][..]), value)
        .prop_map(|(call, value)| format!("{call} {value}"))
}

fn signal_stack() -> impl Strategy<Value = String> {
    let size = edges(&[0, 2047, 2048, 4096, 8192, 65_536, 1 << 40, -1], 9000);
    let flags = prop_oneof![4 => Just(0i64), 1 => select(&[1i64, 2, 3, 7, 0x8000_0000, 0x8000_0002, -1])];
    let new = prop_oneof![8 => (flags, size).prop_map(|(flags, size)| format!("longs:0x12340000,{flags},{size}")),
        1 => select(&["null", "bad", "kernel", "edge:23"][..]).prop_map(str::to_owned)];
    // What stood before is ours, where the rule has acted: only whether it can be written is compared.
    let old = select(&["null", "null", "bad", "kernel"][..]);
    (select(&["syscall 131", "symbol sigaltstack"][..]), new, old)
        .prop_map(|(call, new, old)| format!("{call} {new} {old}"))
}

fn sleeps() -> impl Strategy<Value = String> {
    let call = select(&["syscall 230", "symbol clock_nanosleep"][..]);
    let time = prop_oneof![4 => (0..1_500_000i64).prop_map(|n| format!("longs:0,{n}")),
        2 => select(&["longs:-1,0", "longs:0,-1", "longs:0,1000000000", "longs:0,999999", "longs:-9223372036854775808,5", "longs:0,9223372036854775807"][..]).prop_map(str::to_owned),
        1 => select(&["null", "bad", "kernel", "edge:15"][..]).prop_map(str::to_owned)];
    let rest = select(&["null", "buf:16", "bad", "kernel"][..]);
    let by_wall = (call.clone(), select(&[0i64, 0, 0, 1 << 32]), edges(&[0, 1, 2, -1], 8), time, rest)
        .prop_map(|(call, clock, flags, time, rest)| format!("{call} {clock} {flags} {time} {rest}"));
    // Another clock is the kernel's: nothing to wait for, and clocks that are none (of clock 3 libc answers itself).
    let by_other =
        (call, select(&[1i64, 5, 10, 12, 99, -1, -6]), select(&["longs:0,1", "longs:0,-1", "bad"][..]))
            .prop_map(|(call, clock, time)| format!("{call} {clock} 1 {time} null"));
    let others = prop_oneof![
        (0..2000u32).prop_map(|time| format!("symbol usleep {time}")),
        (0..500_000i64).prop_map(|n| format!("symbol nanosleep longs:0,{n} null")),
        select(
            &[
                "symbol nanosleep longs:-1,0 null",
                "symbol nanosleep bad null",
                "symbol nanosleep longs:0,-1 buf:16",
                "symbol sleep 0"
            ][..]
        )
        .prop_map(str::to_owned),
    ];
    prop_oneof![4 => by_wall, 1 => by_other, 1 => others]
}

/// `ask` natively and by the forced rules, question by question: each is one process, in which what a question sets
/// is seen by the next.
fn assert_same(rules: &str, questions: &[String]) -> Result<(), TestCaseError> {
    let native = answers(&mut ask::ask(), questions);
    let translated = answers(&mut ask::forced(rules), questions);
    for ((question, native), translated) in questions.iter().zip(native).zip(translated) {
        prop_assert_eq!(native, translated, "{}", question);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn sendfile_by_the_rule_is_as_by_the_kernel(questions in vec(sendfile(), 40..80)) {
        FILES.assert_same(&questions)?;
    }

    #[test]
    fn splice_by_the_rule_is_as_by_the_kernel(questions in vec(splice(), 40..80)) {
        FILES.assert_same(&questions)?;
    }

    #[test]
    fn small_questions_by_the_rules_are_as_by_the_kernel(
        questions in vec(prop_oneof![2 => affinity(), 1 => personality(), 2 => signal_stack()], 40..80)
    ) {
        assert_same("sched_getaffinity,personality,sigaltstack", &questions)?;
    }

    #[test]
    fn sleeps_by_the_rule_are_as_by_the_kernel(questions in vec(sleeps(), 20..40)) {
        assert_same("clock_nanosleep", &questions)?;
    }
}

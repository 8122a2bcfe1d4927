//! The kernel as oracle for the families of I/O and descriptors: calls made natively and by the forced rule
//! side by side in one process, over generated arguments, have the same outcome: result, errno, contents,
//! positions, flags, and no descriptor left behind.

#[path = "common/ask.rs"]
mod ask;
mod common;
#[path = "common/side_by_side.rs"]
mod side_by_side;

use ask::answers;
use common::{bare, denied, program, shim};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use side_by_side::{SideBySide, config, edges, maybe};

/// The rules that answer as the kernel does.
const RULES: &str = "getrandom,copy_file_range,preadv,pwritev,preadv2,pwritev2,sync_file_range,fallocate,\
                     close_range,accept4,dup3,pipe2,eventfd2,inotify_init1,epoll_create1,signalfd4,epoll_pwait,\
                     epoll_pwait2,recvmmsg,sendmmsg,futex_wake,futex_wait,futex_requeue";

/// Calls whose libc symbols are doors of another family, or that have none: by number only.
const BY_NUMBER: [&str; 3] = ["signalfd4", "epoll_pwait", "epoll_pwait2"];

/// A program and all rules.
fn in_program(program: &str) -> SideBySide<'_> {
    let has_symbol = |question: &str| !BY_NUMBER.iter().any(|call| question.starts_with(&format!("{call} ")));
    SideBySide { program, rules: RULES, has_symbol }
}

fn place() -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => Just("buf"), 3 => select(&["null", "bad", "kernel", "high", "edge:0", "edge:3", "edge:7", "edge:15"][..])]
}

fn random() -> impl Strategy<Value = String> {
    let length = edges(&[0, 256, 257, 4096, 65536, -1, i64::MIN], 9000);
    let buffer = prop_oneof![6 => Just("buf".to_owned()), 2 => (0..600u32).prop_map(|n| format!("edge:{n}")),
        2 => select(&["null", "bad", "kernel", "ro"][..]).prop_map(str::to_owned)];
    let via = prop_oneof![4 => Just(""), 1 => Just(" via=getentropy")];
    (length, buffer, prop_oneof![3 => 0..8u32, 1 => any::<u32>()], via).prop_map(
        |(length, buffer, flags, via)| {
            // Without the end of the buffer a large read would run into other memory.
            let buffer = if (0..65536).contains(&length) { buffer } else { "edge:500".to_owned() };
            let (length, flags) = if via.is_empty() { (length, flags) } else { (length.rem_euclid(300), 0) };
            format!("getrandom len={length} buf={buffer} flags={flags}{via}")
        },
    )
}

fn copy() -> impl Strategy<Value = String> {
    const FAR: &[i64] = &[0, 1000, 4096, 65536, i64::MAX, i64::MIN, -1, -500, 1 << 40];
    let size = || prop_oneof![3 => 0..3000i64, 1 => 60_000..140_000i64];
    let offset = || prop_oneof![6 => edges(FAR, 3000).prop_map(|n| n.to_string()), 1 => select(&["bad", "kernel", "zero-ro", "edge:7"][..]).prop_map(str::to_owned)];
    let length = edges(&[0, 4096, 65536, 200_000, -1, i64::MAX, i64::MIN], 3000);
    let kinds = prop_oneof![
        8 => Just(""), 4 => Just(" out=same"), 1 => Just(" in=dir"), 1 => Just(" out=dir"), 1 => Just(" in=pipe"),
        1 => Just(" out=pipew"), 1 => Just(" in=closed"), 1 => Just(" out=closed"), 1 => Just(" in=null"), 1 => Just(" out=temp")
    ];
    let modes = prop_oneof![
        8 => Just(""), 1 => Just(" inmode=rw"), 1 => Just(" inmode=w"), 1 => Just(" outmode=w"), 1 => Just(" outmode=r"),
        1 => Just(" outmode=rwa"), 1 => Just(" inmode=p"), 1 => Just(" outmode=p"), 1 => Just(" inmode=n")
    ];
    let places = (
        maybe("offin", offset()),
        maybe("offout", offset()),
        maybe("inpos", (0..2000i64).prop_map(|n| n.to_string())),
        maybe("outpos", (0..2000i64).prop_map(|n| n.to_string())),
    );
    let limit = prop_oneof![5 => Just(String::new()), 1 => (0..2500u32).prop_map(|n| format!(" limit={n}"))];
    let flags = prop_oneof![9 => Just(0u32), 1 => any::<u32>()];
    (kinds, modes, size(), size(), places, length, flags, limit).prop_map(
        |(kinds, modes, insize, outsize, (offin, offout, inpos, outpos), length, flags, limit)| {
            format!("copy_file_range len={length}{kinds}{modes} insize={insize} outsize={outsize}{offin}{offout}{inpos}{outpos} flags={flags}{limit}")
        },
    )
}

fn vectors() -> impl Strategy<Value = String> {
    const OFFSETS: &[i64] = &[0, 50, 100, 4096, i64::MAX, i64::MIN, -1, -2];
    let part = prop_oneof![8 => (0..200i64).prop_map(|n| format!("{n}b")), 1 => (0..200i64).prop_map(|n| format!("{n}s")),
        1 => (0..9i64).prop_map(|n| format!("{n}x")), 1 => Just("0n".to_owned()), 1 => Just("0k".to_owned()), 1 => Just("5k".to_owned()),
        1 => Just("-1b".to_owned()), 1 => Just("7h".to_owned())];
    let call = select(&["preadv", "pwritev", "preadv2", "pwritev2"][..]);
    let file = prop_oneof![10 => Just(""), 1 => Just("file=closed"), 1 => Just("file=null"), 1 => Just("file=dir mode=r"), 1 => Just("file=pipew"),
        1 => Just("file=pipe mode=r"), 1 => Just("mode=r"), 1 => Just("mode=w"), 1 => Just("mode=rwa"), 1 => Just("mode=p"), 1 => Just("mode=n")];
    let flags = prop_oneof![3 => Just(0u32), 3 => 0..8u32, 1 => Just(0x8000_0000)];
    let count = prop_oneof![9 => Just(String::new()), 1 => select(&[0i64, 1023, 1024, 1025, -1]).prop_map(|n| format!(" count={n}"))];
    let vector = prop_oneof![9 => Just(""), 1 => Just(" vec=bad count=1"), 1 => Just(" vec=kernel count=2"), 1 => Just(" vec=null count=0")];
    (call, file, vec(part, 0..12), edges(OFFSETS, 300), 0..200u32, flags, count, vector).prop_map(
        |(call, file, parts, at, position, flags, count, vector)| {
            let parts = parts.join(",");
            let count = if vector.is_empty() { count } else { String::new() };
            format!(
                "{call} {file} iov={parts} off={at} pos={position} flags={}{count}{vector}",
                flags & 0xffff_fff7
            )
        },
    )
}

fn storage() -> impl Strategy<Value = String> {
    const FAR: &[i64] = &[0, -1, i64::MAX, i64::MIN, 100];
    let file = prop_oneof![
        Just("file=proc"),
        Just("file=null"),
        Just("file=pipe"),
        Just("file=pipew"),
        Just("file=dir mode=r"),
        Just("file=closed"),
        Just("file=proc mode=r"),
        Just("mode=p")
    ];
    let range = || (edges(FAR, 4000), edges(FAR, 4000));
    let fallocate = (file, range(), prop_oneof![3 => 0..128u32, 1 => any::<u32>()]).prop_map(
        |(file, (at, length), mode)| {
            // /proc has no files beyond 2 GiB, of which a rule cannot know.
            let far = at.saturating_add(length) > i64::from(i32::MAX) && at.checked_add(length).is_some();
            let (at, length) = if file.starts_with("file=proc") && far { (0, 1) } else { (at, length) };
            format!("fallocate {file} off={at} len={length} mode_={mode}")
        },
    );
    let file = select(
        &["file=", "file=temp", "file=pipe", "file=null", "file=dir mode=r", "file=closed", "mode=p"][..],
    );
    let write_out = (file, range(), 0..10u32).prop_map(|(file, (at, length), flags)| {
        format!("sync_file_range {file} off={at} len={length} flags={flags}")
    });
    prop_oneof![fallocate, write_out]
}

/// The four flags of descriptors, and others.
fn flags() -> impl Strategy<Value = u32> {
    prop_oneof![4 => select(&[0u32, 0o2000000, 0o4000, 0o2004000]), 1 => (0..32u32).prop_map(|bit| 1 << bit)]
}

fn descriptors() -> impl Strategy<Value = String> {
    let number =
        || prop_oneof![4 => 95..130i64, 1 => select(&[3i64, 0x7fff_ffff, 0xffff_ffff, 0x1_0000_0065])];
    let range = (
        number(),
        number(),
        select(&[0u32, 2, 4, 6, 1, 8]),
        0..1u32 << 24,
        prop_oneof![6 => Just(""), 1 => Just(" full=yes"), 1 => Just(" share=no")],
    )
        .prop_map(|(first, last, flags, open, how)| {
            format!("close_range first={first} last={last} flags={flags} open={open}{how}")
        });
    let from = (prop_oneof![Just(3i64), 95..130i64], 0..1u32 << 24)
        .prop_map(|(from, open)| format!("close_range from={from} open={open}"));
    let accept = (flags(), prop_oneof![5 => Just(""), 1 => Just("sock=closed"), 1 => Just("sock=file"), 1 => Just("sock=datagrams"), 1 => Just("client=no")],
        place(), place())
        .prop_map(|(flags, socket, address, length)| {
            let address = if address == "buf" { String::new() } else { format!(" addr={address}") };
            let length = if length == "buf" { String::new() } else { format!(" length={length}") };
            format!("accept4 {socket} flags={flags}{address}{length}")
        });
    let dup = (flags(), select(&[0i64, 1, 2, 999, -1]), select(&[0i64, 1, 2, 150, 1023, -1, 0x7fff_ffff]))
        .prop_map(|(flags, old, new)| {
            // The first three are the program's own.
            let new = if (0..3).contains(&new) { old } else { new };
            format!("dup3 old={old} new={new} flags={flags}")
        });
    let pipe = (
        prop_oneof![3 => flags(), 1 => Just(0o40000)],
        place(),
        prop_oneof![6 => Just(""), 1 => Just(" limit=4"), 1 => Just(" limit=3")],
    )
        // A notification pipe is nothing that other calls make.
        .prop_map(|(flags, place, limit)| format!("pipe2 flags={} fds={place}{limit}", flags & !0o200));
    let event = (flags(), any::<u32>())
        .prop_map(|(flags, count)| format!("eventfd2 flags={} count={count}", flags & !1));
    let others = (select(&["inotify_init1", "epoll_create1"][..]), flags())
        .prop_map(|(call, flags)| format!("{call} flags={flags}"));
    let signal = (
        flags(),
        place(),
        select(&["8", "8", "8", "4", "16"][..]),
        select(&["-1", "old", "0", "999", "-2"][..]),
    )
        .prop_map(|(flags, mask, size, fd)| {
            let mask = if mask == "buf" { String::new() } else { format!(" mask={mask}") };
            format!("signalfd4 fd={fd} size={size} flags={flags}{mask}")
        });
    prop_oneof![3 => range, 1 => from, 2 => accept, 1 => dup, 2 => pipe, 1 => event, 1 => others, 1 => signal]
}

fn waits() -> impl Strategy<Value = String> {
    let mask = prop_oneof![3 => Just(""), 4 => Just(" mask=buf"), 1 => Just(" mask=bad"), 1 => Just(" mask=edge:7"), 1 => Just(" mask=buf size=4")];
    let most = prop_oneof![6 => 1..5i64, 1 => select(&[0i64, -1, 178_956_970, 178_956_971])];
    let events = prop_oneof![6 => Just(""), 1 => Just(" events=bad"), 1 => Just(" events=kernel"), 1 => Just(" events=null"), 1 => Just(" events=ro")];
    let queue = prop_oneof![8 => Just(""), 1 => Just(" queue=closed"), 1 => Just(" queue=pipe")];
    let time = prop_oneof![
        3 => (0..3u32).prop_map(|n| format!("epoll_pwait timeout={n}")),
        3 => (0..3_000_000u32).prop_map(|n| format!("epoll_pwait2 nsec={n}")),
        1 => select(&["sec=-1", "nsec=-1", "nsec=1000000000", "time=bad", "time=edge:8", "nsec=999999999 sec=-9223372036854775808"][..])
            .prop_map(|bad| format!("epoll_pwait2 {bad}"))
    ];
    (time, 0..4u32, 0..2u32, mask, most, events, queue, prop_oneof![Just(""), Just(" edge=yes")]).prop_map(
        |(time, ready, pending, mask, most, events, queue, edge)| {
            format!("{time} ready={ready} pending={pending} most={most}{mask}{events}{queue}{edge}")
        },
    )
}

fn messages() -> impl Strategy<Value = String> {
    let kind = || select(&["type=datagram", "type=stream", "type=packets"][..]);
    let socket = || prop_oneof![9 => Just(""), 1 => Just(" sock=closed"), 1 => Just(" sock=file"), 2 => Just(" peer=gone")];
    let bad = || {
        prop_oneof![6 => Just(String::new()), 1 => (0..5u32).prop_map(|n| format!(" bad={n}")), 1 => (0..5u32).prop_map(|n| format!(" badlist={n}")),
            1 => Just(" vec=bad".to_owned()), 1 => Just(" vec=edge:40".to_owned()), 1 => Just(" vec=kernel".to_owned())]
    };
    let time = prop_oneof![4 => Just(""), 1 => Just(" sec=0 nsec=0"), 1 => Just(" sec=30"), 1 => Just(" sec=-1"), 1 => Just(" nsec=1000000000"), 1 => Just(" time=bad")];
    // MSG_DONTWAIT always, lest a check wait for ever: with MSG_PEEK, MSG_TRUNC, MSG_WAITFORONE.
    let receive = (kind(), socket(), 0..7u32, 0..9u32, 0..40u32, 0..8u32, time, bad()).prop_map(
        |(kind, socket, queued, count, size, bits, time, bad)| {
            let flags = 0x40 | (bits & 1) << 1 | (bits >> 1 & 1) << 5 | (bits >> 2 & 1) << 16;
            format!(
                "recvmmsg {kind}{socket} queued={queued} count={count} size={size} flags={flags}{time}{bad}"
            )
        },
    );
    let send = (
        kind(),
        socket(),
        0..9u32,
        0..40u32,
        prop_oneof![4 => Just(0x4040u32), 1 => Just(0x4041), 1 => Just(0x8000_4040)],
        0..2u32,
        bad(),
    )
        .prop_map(|(kind, socket, count, size, flags, record, bad)| {
            format!("sendmmsg {kind}{socket} count={count} size={size} flags={flags} record={record}{bad}")
        });
    prop_oneof![receive, send]
}

fn futexes() -> impl Strategy<Value = String> {
    let flags =
        || prop_oneof![3 => Just(130u32), 2 => Just(2), 1 => (0..256u32).prop_map(|flags| flags & !12)];
    let value = || prop_oneof![4 => Just(5i64), 1 => select(&[0i64, 4, -1, 1 << 32, (1 << 32) + 5])];
    let mask = || prop_oneof![4 => Just(0xffff_ffffi64), 1 => select(&[0i64, 1, -1, 1 << 32])];
    let word = || prop_oneof![6 => Just(""), 1 => Just(" word=bad"), 1 => Just(" word=null"), 1 => Just(" word=kernel"), 1 => Just(" plus=1"), 1 => Just(" plus=4")];
    let wake = (mask(), select(&[0i64, 1, 5, -1]), flags(), word()).prop_map(|(mask, count, flags, word)| {
        format!("futex_wake mask={mask} count={count} flags={flags}{word}")
    });
    let time = prop_oneof![3 => Just("later=300000"), 1 => Just("sec=-5"), 1 => Just("sec=-100000000"), 1 => Just("nsec=-1"), 1 => Just("nsec=1000000000"), 1 => Just("time=bad")];
    let wait = (value(), mask(), flags(), time, select(&[0i64, 1, 1, 2, -1]), word()).prop_map(
        |(value, mask, flags, time, clock, word)| {
            format!("futex_wait value={value} mask={mask} flags={flags} {time} clock={clock}{word}")
        },
    );
    let list = prop_oneof![6 => Just(""), 1 => Just(" list=bad"), 1 => Just(" list=null"), 1 => Just(" list=edge:30"), 1 => Just(" reserved=1")];
    let requeue = (value(), flags(), flags(), select(&[0i64, 1, -1]), select(&[0i64, 2, -1]), list, word(), 0..20u32).prop_map(
        |(value, first, second, wake, requeue, list, word, flags)| {
            format!("futex_requeue value={value} first={first} second={second} wake={wake} requeue={requeue} flags={}{list}{word}", flags / 19)
        },
    );
    prop_oneof![wake, wait, requeue]
}

proptest! {
    #![proptest_config(config(60))]

    /// Random bytes, copies, vectors and writing out by the rules have the kernel's outcome.
    #[test]
    fn io_by_the_rules_is_as_by_the_kernel(
        questions in vec(prop_oneof![1 => random(), 3 => copy(), 4 => vectors(), 1 => storage()], 40..80)
    ) {
        in_program("modern_io").assert_same(&questions)?;
    }

    /// Descriptors, waits, messages and futexes by the rules have the kernel's outcome.
    #[test]
    fn descriptors_and_events_by_the_rules_are_as_by_the_kernel(
        questions in vec(prop_oneof![2 => descriptors(), 2 => waits(), 2 => messages(), 1 => futexes()], 40..80)
    ) {
        in_program("modern_events").assert_same(&questions)?;
    }

    /// preadv2 and pwritev2 where preadv and pwritev are refused too, and the kernel's check of a vector by
    /// process_vm_readv: buffer by buffer.
    #[test]
    fn vectors_without_any_vector_call_are_as_by_the_kernel(questions in vec(vectors(), 40..80)) {
        let by = |door: &str| questions.iter().map(|q| format!("{door} {q}")).collect::<Vec<_>>();
        let native = answers(bare(program("modern_io")).arg("ask"), &by("inline"));
        let refused = "preadv,pwritev,preadv2,pwritev2,process_vm_readv,process_vm_writev";
        let mut command = denied("EPERM", refused);
        // Repaired to ENOSYS, glibc would answer some by itself.
        command.arg(program("modern_io")).arg("ask").env("LD_PRELOAD", shim()).env("EVERCALL_FILTER", "off");
        for ((question, native), repaired) in questions.iter().zip(native).zip(answers(&mut command, &by("symbol"))) {
            prop_assert_eq!(native, repaired, "{}", question);
        }
    }
}

/// Force is what the comparison rests on: every rule acts, and the log says so.
#[test]
fn every_rule_acts_when_forced() {
    for name in ["modern_io", "modern_events"] {
        let mut command = bare(program(name));
        command.arg("syscall").env("LD_PRELOAD", shim());
        command.env("EVERCALL_FORCE", RULES).env("EVERCALL_LOG", "all");
        let output = common::succeed(&mut command);
        let (log, lines) = (common::text(&output.stderr), common::text(&output.stdout));
        for call in RULES.split(',').filter(|call| lines.contains(&format!("\n{call}"))) {
            assert!(log.contains(&format!("{call}(")), "{call} is not in the log of {name}");
        }
    }
}

//! `query_module(2)` and `get_kernel_syms(2)` over a made-up /proc, held against the byte layouts of kernel
//! 2.4 (kernel/module.c), laid out here a second time from the same facts.

#[path = "common/ask.rs"]
mod ask;
mod common;

use ask::{answers, ask, buffer, failure, in_namespace, is_root, outcome};
use common::shim;

const FILLING: u8 = 0xa5;
const DONE: &str = "0 1234";

/// The facts: /proc/modules, the newest first, as a current kernel writes it.
const MODULES: &str = "\
nf_nat 45056 2 xt_MASQUERADE,nft_chain_nat, Live 0xffffffffc0a00000
xt_MASQUERADE 20480 1 - Live 0xffffffffc09f0000
nft_chain_nat 16384 0 - Live 0xffffffffc09e0000 (OE)
going 4096 0 - Unloading 0xffffffffc09d0000
coming 8192 0 - Loading 0xffffffffc09c0000
fixed 12288 1 [permanent], Live 0xffffffffc09b0000
no_unload 100 - - Live 0x0000000000000000
libcrc32c 16384 1 nf_nat, Live 0xffffffffc0990000
";

const NAMES: [&str; 8] =
    ["nf_nat", "xt_MASQUERADE", "nft_chain_nat", "going", "coming", "fixed", "no_unload", "libcrc32c"];

/// And /proc/kallsyms: the kernel first, then the modules; local symbols in small letters; what BPF made.
const SYMBOLS: &str = "\
ffffffff81000000 T _text
ffffffff81000010 t local
ffffffff81000020 D jiffies
ffffffff82000000 A a_name_that_is_longer_than_the_sixty_bytes_which_struct_kernel_sym_has_for_it
ffffffffc0a00010 T nf_nat_setup_info\t[nf_nat]
ffffffffc0a00020 t nf_nat_local\t[nf_nat]
ffffffffc0a00030 R nf_nat_id\t[nf_nat]
ffffffffc09e0010 W chain\t[nft_chain_nat]
ffffffffc0990010 T crc32c\t[libcrc32c]
ffffffffc0000000 T bpf_prog_1\t[bpf]
ffffffffc0000010 T bpf_tramp\t[__builtin__ftrace]
";

const KERNEL: [(u64, &str); 3] = [
    (0xffff_ffff_8100_0000, "_text"),
    (0xffff_ffff_8100_0020, "jiffies"),
    (0xffff_ffff_8200_0000, "a_name_that_is_longer_than_the_sixty_bytes_which_struct_kernel_sym_has_for_it"),
];

const NF_NAT: [(u64, &str); 2] =
    [(0xffff_ffff_c0a0_0010, "nf_nat_setup_info"), (0xffff_ffff_c0a0_0030, "nf_nat_id")];

/// The answers over the made-up /proc.
fn over_made_up_proc(questions: &[String]) -> Vec<String> {
    let script = format!(
        "mount -t tmpfs proc /proc\ncat > /proc/modules <<'END'\n{MODULES}END\ncat > /proc/kallsyms <<'END'\n\
         {SYMBOLS}END\nexport LD_PRELOAD=$SHIM\nexec \"$ASK\""
    );
    answers(&mut in_namespace(&["-m"], &script), questions)
}

/// `query_module` into a buffer of `room` bytes that ends where memory ends.
fn query(name: &str, which: u32, room: usize) -> String {
    format!("syscall query_module {name} {which} edge:{room} {room} buf:8")
}

/// What 2.4 left: the outcome, the bytes of the buffer, the value of `ret`.
type Left = (String, Vec<u8>, u64);

/// Names, each with its NUL, as long as they fit; else the bytes that all of them need.
fn strings(names: &[&str], room: usize) -> Left {
    let mut bytes = Vec::new();
    for name in names {
        if bytes.len() + name.len() + 1 > room {
            let needed: usize = names.iter().map(|name| name.len() + 1).sum();
            return (failure(libc::ENOSPC), bytes, needed as u64);
        }
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
    }
    (DONE.to_owned(), bytes, names.len() as u64)
}

/// Pairs of value and offset, then the names; as many as fit.
fn symbols(list: &[(u64, &str)], room: usize) -> Left {
    let needed: usize = list.iter().map(|(_, name)| 16 + name.len() + 1).sum();
    let mut bytes = vec![FILLING; room];
    let mut end = list.len() * 16;
    for (index, (value, name)) in list.iter().enumerate() {
        if end > room || end + name.len() + 1 > room {
            return (failure(libc::ENOSPC), bytes, needed as u64);
        }
        bytes[end..end + name.len()].copy_from_slice(name.as_bytes());
        bytes[end + name.len()] = 0;
        bytes[index * 16..index * 16 + 8].copy_from_slice(&value.to_ne_bytes());
        bytes[index * 16 + 8..index * 16 + 16].copy_from_slice(&end.to_ne_bytes());
        end += name.len() + 1;
    }
    (DONE.to_owned(), bytes, list.len() as u64)
}

/// `struct module_info`: address, size, flags, use count.
fn info(fields: [u64; 4], room: usize) -> Left {
    if room < 32 {
        return (failure(libc::ENOSPC), Vec::new(), 32);
    }
    (DONE.to_owned(), fields.iter().flat_map(|f| f.to_ne_bytes()).collect(), 32)
}

fn assert_left(question: &str, answer: &str, (result, bytes, ret): &Left) {
    let first = usize::from(question.contains(" str:"));
    let shown = buffer(answer, first);
    assert_eq!(outcome(answer), result, "{question}");
    assert_eq!(shown[..bytes.len()], bytes[..], "{question}");
    assert!(shown[bytes.len()..].iter().all(|&b| b == FILLING), "{question}: written too far: {answer}");
    let shown = buffer(answer, first + 1);
    assert_eq!(shown[..8], ret.to_ne_bytes(), "{question}: ret");
    assert!(shown[8..].iter().all(|&b| b == FILLING), "{question}: written behind ret");
}

/// Every request, with every size of buffer from nothing to more than enough.
#[test]
fn every_request_fills_the_layouts_of_2_4_at_every_buffer_size() {
    if !is_root() {
        skip!("needs root for a mount namespace");
    }
    let mut questions = Vec::new();
    let mut expected = Vec::new();
    let mut add = |name: &str, which: u32, room: usize, left: Left| {
        questions.push(query(name, which, room));
        expected.push(left);
    };
    for room in 0..140 {
        add("null", 1, room, strings(&NAMES, room));
        add("str:coming", 1, room, strings(&NAMES, room));
        add("str:nf_nat", 2, room, strings(&["libcrc32c"], room));
        add("str:xt_MASQUERADE", 2, room, strings(&["nf_nat"], room));
        add("str:libcrc32c", 2, room, strings(&[], room));
        add("str:nf_nat", 3, room, strings(&["xt_MASQUERADE", "nft_chain_nat"], room));
        add("str:fixed", 3, room, strings(&[], room));
        add("str:nf_nat", 4, room, symbols(&NF_NAT, room));
        add("str:coming", 4, room, symbols(&[], room));
    }
    for room in 100..180 {
        add("null", 4, room, symbols(&KERNEL, room));
    }
    for room in [0, 31, 32, 33, 64] {
        // Flags: 1 running, 16 used once, 64 initialising. The count is -1 where modules stay for ever.
        add("str:nf_nat", 5, room, info([0xffff_ffff_c0a0_0000, 45056, 1 | 16, 2], room));
        add("str:nft_chain_nat", 5, room, info([0xffff_ffff_c09e_0000, 16384, 1, 0], room));
        add("str:coming", 5, room, info([0xffff_ffff_c09c_0000, 8192, 64, 0], room));
        add("str:no_unload", 5, room, info([0, 100, 1, u64::MAX], room));
    }
    for ((question, answer), left) in questions.iter().zip(over_made_up_proc(&questions)).zip(&expected) {
        assert_left(question, &answer, left);
    }
}

/// The errors, in the order in which 2.4 looked: the name, the module, the request, the buffers.
#[test]
fn errors_come_in_the_order_of_2_4() {
    if !is_root() {
        skip!("needs root for a mount namespace");
    }
    let cases = [
        ("null 0 null 0 null", 0),
        ("null 0 bad 100 bad", 0),
        ("str:nf_nat 0 null 0 null", 0),
        ("bad 0 null 0 null", libc::EFAULT),
        ("kernel 99 null 0 null", libc::EFAULT),
        ("cutstr:nf_nat 0 null 0 null", libc::EFAULT),
        ("str: 1 bad 0 bad", libc::EINVAL),
        ("str:nope 0 null 0 null", libc::ENOENT),
        ("str:nope 99 null 0 null", libc::ENOENT),
        ("str:nf_na 5 buf:32 32 buf:8", libc::ENOENT),
        ("str:nf_nat_ 5 buf:32 32 buf:8", libc::ENOENT),
        // One that is being unloaded is not found any more.
        ("str:going 5 buf:32 32 buf:8", libc::ENOENT),
        ("long:64 1 buf:32 32 buf:8", libc::ENOENT),
        ("long:4095 1 buf:32 32 buf:8", libc::ENOENT),
        ("long:4096 1 buf:32 32 buf:8", libc::ENAMETOOLONG),
        ("null 6 buf:32 32 buf:8", libc::EINVAL),
        ("null -1 buf:32 32 buf:8", libc::EINVAL),
        ("str:nf_nat 6 buf:32 32 buf:8", libc::EINVAL),
        ("null 2 buf:32 32 buf:8", libc::EINVAL),
        ("null 3 buf:32 32 buf:8", libc::EINVAL),
        ("null 5 buf:32 32 buf:8", libc::EINVAL),
        // A buffer that cannot be written, and a ret that cannot, whether there is room or not.
        ("null 1 bad 500 buf:8", libc::EFAULT),
        ("null 1 ro:500 500 buf:8", libc::EFAULT),
        ("null 1 edge:20 500 buf:8", libc::EFAULT),
        ("null 1 bad 3 buf:8", libc::ENOSPC),
        ("null 1 edge:200 200 bad", libc::EFAULT),
        ("null 1 edge:2 2 none", libc::EFAULT),
        ("null 1 edge:200 200 edge:7", libc::EFAULT),
        ("str:nf_nat 3 none 500 buf:8", libc::EFAULT),
        ("null 4 null 500 buf:8", libc::EFAULT),
        ("null 4 bad 10 buf:8", libc::ENOSPC),
        ("null 4 edge:300 300 ro:8", libc::EFAULT),
        ("str:nf_nat 5 bad 32 buf:8", libc::EFAULT),
        ("str:nf_nat 5 bad 31 buf:8", libc::ENOSPC),
        ("str:nf_nat 5 edge:32 32 bad", libc::EFAULT),
        ("str:nf_nat 5 edge:31 31 bad", libc::EFAULT),
    ];
    for door in ["syscall", "symbol"] {
        let questions: Vec<String> =
            cases.iter().map(|(case, _)| format!("{door} query_module {case}")).collect();
        for ((case, errno), answer) in cases.iter().zip(over_made_up_proc(&questions)) {
            let expected = if *errno == 0 { DONE.to_owned() } else { failure(*errno) };
            assert_eq!(outcome(&answer), expected, "{door} {case}: {answer}");
        }
    }
}

/// `struct kernel_sym`: a value and 60 bytes of name, the last always NUL, and 4 bytes of padding.
fn entry(value: u64, name: &str) -> Vec<u8> {
    let mut entry = value.to_ne_bytes().to_vec();
    entry.extend_from_slice(&name.as_bytes()[..name.len().min(59)]);
    entry.resize(72, 0);
    entry
}

/// All modules, those without symbols too, each behind its pseudo symbol, and the kernel last.
fn kernel_syms() -> Vec<Vec<u8>> {
    let list: [(u64, &str); 16] = [
        (0xffff_ffff_c0a0_0000, "#nf_nat"),
        NF_NAT[0],
        NF_NAT[1],
        (0xffff_ffff_c09f_0000, "#xt_MASQUERADE"),
        (0xffff_ffff_c09e_0000, "#nft_chain_nat"),
        (0xffff_ffff_c09e_0010, "chain"),
        (0xffff_ffff_c09d_0000, "#going"),
        (0xffff_ffff_c09c_0000, "#coming"),
        (0xffff_ffff_c09b_0000, "#fixed"),
        (0, "#no_unload"),
        (0xffff_ffff_c099_0000, "#libcrc32c"),
        (0xffff_ffff_c099_0010, "crc32c"),
        (0, "#"),
        KERNEL[0],
        KERNEL[1],
        KERNEL[2],
    ];
    list.iter().map(|(value, name)| entry(*value, name)).collect()
}

/// get_kernel_syms counts, fills, and stops at the first entry that cannot be written, without an error.
#[test]
fn get_kernel_syms_lists_every_module_and_the_kernel_last() {
    if !is_root() {
        skip!("needs root for a mount namespace");
    }
    let entries = kernel_syms();
    let all = entries.concat();
    let mut questions =
        vec!["syscall get_kernel_syms null".to_owned(), "symbol get_kernel_syms null".to_owned()];
    questions
        .extend(["bad", "kernel", "none", "ro:2000"].map(|place| format!("syscall get_kernel_syms {place}")));
    let rooms: Vec<usize> = (0..=entries.len()).flat_map(|n| [n * 72, n * 72 + 71]).collect();
    questions.extend(rooms.iter().map(|room| format!("syscall get_kernel_syms edge:{room}")));
    let given = over_made_up_proc(&questions);
    for answer in &given[..2] {
        assert_eq!(outcome(answer), "16 1234");
    }
    for answer in &given[2..6] {
        assert_eq!(outcome(answer), DONE);
    }
    for (room, answer) in rooms.iter().zip(&given[6..]) {
        let whole = (room / 72).min(entries.len());
        assert_eq!(outcome(answer), format!("{whole} 1234"), "{room} bytes");
        assert_eq!(buffer(answer, 0)[..whole * 72], all[..whole * 72], "{room} bytes");
    }
}

/// A kernel without modules, as this host may be: 0 still says that the call is there; lists say ENOSYS.
#[test]
fn without_proc_modules_lists_are_enosys() {
    if std::fs::exists("/proc/modules").unwrap() {
        skip!("this kernel has modules");
    }
    let questions = ["null 0 null 0 null", "null 1 buf:8 8 buf:8", "str:ext4 5 buf:32 32 buf:8"];
    let questions = questions.map(|q| format!("syscall query_module {q}"));
    let given = answers(ask().env("LD_PRELOAD", shim()), &questions);
    assert_eq!(given[0], DONE);
    for answer in &given[1..] {
        assert_eq!(outcome(answer), failure(libc::ENOSYS));
    }
}

//! The kernel as oracle for remap_file_pages: a window of shared pages, remapped natively and by the forced rule,
//! shows the same pages with the same rights, and the same errno.

#[path = "common/ask.rs"]
mod ask;
#[path = "common/columns.rs"]
mod columns;
mod common;
#[path = "common/side_by_side.rs"]
mod side_by_side;

use columns::assert_third_equals_first;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use side_by_side::{SideBySide, config};

/// START:BYTES:PGOFF:FLAGS:PROT.
fn call() -> impl Strategy<Value = String> {
    let start = prop_oneof![8 => (0..16i64).prop_map(|page| page * 4096), 1 => 0..70_000i64, 1 => select(&[-4096i64, i64::MAX, -1])];
    let bytes = prop_oneof![8 => (1..6i64).prop_map(|page| page * 4096), 1 => 0..40_000i64, 1 => select(&[-1i64, i64::MIN, 1 << 62])];
    let page =
        prop_oneof![9 => 0..24i64, 1 => select(&[100i64, 1 << 51, (1 << 51) - 1, 1 << 52, -1, -2, 1 << 62])];
    let flags = prop_oneof![4 => Just(0i64), 1 => Just(0x10000), 1 => any::<i32>().prop_map(i64::from)];
    let protection = prop_oneof![12 => Just(0i64), 1 => 1..8i64];
    (start, bytes, page, flags, protection).prop_map(|(start, bytes, page, flags, protection)| {
        // 2^51 - 1 pages and no more are between all address spaces and the largest offset.
        let page = if page == (1 << 51) - 1 { 1 << 51 } else { page };
        format!("{start}:{bytes}:{page}:{flags}:{protection}")
    })
}

fn question() -> impl Strategy<Value = String> {
    let kind = prop_oneof![
        4 => Just("kind=memory"), 2 => Just("kind=named"), 1 => Just("kind=named open=r rights=1"), 2 => Just("kind=anonymous"),
        1 => Just("kind=named gone=yes"), 1 => Just("kind=memory private=yes"), 1 => Just("kind=memory rights=1"), 1 => Just("kind=memory rights=0"),
        1 => Just("kind=memory rights=7")
    ];
    let base = prop_oneof![3 => Just(0i64), 1 => 0..8i64];
    let spoiled = prop_oneof![6 => Just(String::new()), 1 => (0..16u32).prop_map(|page| format!(" hole={page}")),
        1 => (0..16u32).prop_map(|page| format!(" odd={page}")), 1 => Just(" locked=yes".to_owned())];
    (kind, base, spoiled, vec(call(), 1..6)).prop_map(|(kind, base, spoiled, calls)| {
        let base = if kind.contains("anonymous") { 0 } else { base };
        format!("remap_file_pages {kind} base={base}{spoiled} calls={}", calls.join(","))
    })
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn remapped_pages_are_as_by_the_kernel(questions in vec(question(), 10..30)) {
        let memory = SideBySide { program: "results_memory", rules: "remap_file_pages", has_symbol: |_| true };
        memory.assert_same(&questions)?;
    }
}

#[test]
fn refused_it_is_as_native() {
    for door in ["syscall", "symbol"] {
        assert_third_equals_first("results_memory", &[door], &["remap_file_pages"], &[]);
    }
}

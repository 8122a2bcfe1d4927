//! The next definition of a symbol is found by our own walk of the link map. A library is preloaded behind
//! the shim, in every form that linkers make and in forms that damage makes, and must be the next one, or
//! count as not there. `next` prints who answered `epoll_create`.
//!
//! Not tested here: that the vDSO is never bound to. It defines no symbol that the shim exports yet, and
//! glibc lists it before every preload; the rule that exports `time` brings the test.

mod common;

use common::{bare, program, shim, succeed, text, under_shim};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// What `next` prints where the second library answers, twice.
const SECOND: &str = "4242\n4242\n";
/// And where libc does.
const LIBC: &str = "a descriptor\na descriptor\n";

/// A folder for the libraries of one test.
fn folder() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

/// The second library, built with these options.
fn second(folder: &TempDir, options: &[&str]) -> PathBuf {
    let made = folder.path().join(format!("libsecond-{}.so", std::fs::read_dir(folder).unwrap().count()));
    let source = common::root().join("test-programs/libsecond.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-nostdlib", "-O1", "-o"]).arg(&made).arg(source).args(options);
    succeed(&mut compiler);
    made
}

/// A list for LD_PRELOAD: the shim, then these.
fn preload(libraries: &[&Path]) -> OsString {
    let all: Vec<_> = std::iter::once(shim()).chain(libraries.iter().map(|&l| l.to_owned())).collect();
    let all: Vec<&OsStr> = all.iter().map(|library| library.as_os_str()).collect();
    all.join(OsStr::new(":"))
}

/// What a program prints with the libraries behind the shim.
fn behind_shim(program: impl AsRef<OsStr>, libraries: &[&Path]) -> String {
    let output = succeed(bare(program).env("LD_PRELOAD", preload(libraries)));
    assert_eq!(text(&output.stderr), "", "the loader complains");
    text(&output.stdout)
}

/// A non-PIE `next`: where the program is not moved, glibc puts a library where it was linked to.
fn fixed_next(folder: &TempDir) -> PathBuf {
    let made = folder.path().join("next-fixed");
    let source = common::root().join("test-programs/next.c");
    succeed(Command::new("cc").args(["-no-pie", "-o"]).arg(&made).arg(source));
    made
}

/// Each kind of hash table, and both, under glibc and musl.
#[test]
fn every_hash_style_is_walked() {
    let folder = folder();
    for style in ["sysv", "gnu", "both"] {
        let library = second(&folder, &["-DMANY", &format!("-Wl,--hash-style={style}")]);
        assert_eq!(behind_shim(program("next"), &[&library]), SECOND, "{style}");
        assert_eq!(behind_shim(program("next.musl"), &[&library]), SECOND, "{style}, musl");
    }
}

/// Doors whose functions differ from the system call hand their own arguments on.
#[test]
fn every_kind_of_door_has_a_next_definition() {
    let folder = folder();
    let library = second(&folder, &[]);
    for name in ["next", "next.musl"] {
        let output = succeed(bare(program(name)).arg("others").env("LD_PRELOAD", preload(&[&library])));
        assert_eq!(text(&output.stdout), "4243 4244 4245\n4243 4244 4245\n", "{name}");
    }
}

/// A library that lacks the symbol is passed over, a second one behind it is found, else libc.
#[test]
fn a_library_without_the_symbol_is_passed_over() {
    let folder = folder();
    for style in ["sysv", "gnu"] {
        let style = format!("-Wl,--hash-style={style}");
        let empty = second(&folder, &["-DNOTHING", "-DMANY", &style]);
        let real = second(&folder, &[&style]);
        for program in [program("next"), program("next.musl")] {
            assert_eq!(behind_shim(&program, &[&empty]), LIBC, "{style}");
            assert_eq!(behind_shim(&program, &[&empty, &real]), SECOND, "{style}");
        }
    }
}

/// Only what stands behind the shim is next: a library before it gets the call first, and alone.
#[test]
fn a_library_before_the_shim_comes_first() {
    let folder = folder();
    let library = second(&folder, &[]);
    let order = [library.as_os_str(), shim().as_os_str()].join(OsStr::new(":"));
    let output = succeed(bare(program("next")).env("LD_PRELOAD", order));
    assert_eq!(text(&output.stdout), SECOND);
    assert_eq!(text(&succeed(&mut under_shim(program("next"))).stdout), LIBC, "alone");
}

/// Of many versions the default one, wherever it stands in its chain; a hidden one where there is no other.
#[test]
fn the_default_version_is_chosen() {
    let folder = folder();
    let script = folder.path().join("versions");
    std::fs::write(&script, "SECOND_1 {}; SECOND_2 {} SECOND_1; SECOND_3 {} SECOND_2;\n").unwrap();
    let script = format!("-Wl,--version-script={}", script.display());
    for style in ["sysv", "gnu", "both"] {
        let style = format!("-Wl,--hash-style={style}");
        let many = second(&folder, &["-DVERSIONS", &style, &script]);
        assert_eq!(behind_shim(program("next"), &[&many]), SECOND, "{style}: default");
        let hidden = second(&folder, &["-DHIDDEN", &style, &script]);
        assert_eq!(behind_shim(program("next"), &[&hidden]), SECOND, "{style}: hidden only");
    }
}

/// An indirect function is resolved.
#[test]
fn an_indirect_function_is_resolved() {
    let folder = folder();
    assert_eq!(behind_shim(program("next"), &[&second(&folder, &["-DIFUNC"])]), SECOND);
}

/// A library linked at an address of its own, as prelink does: loaded there (load address 0), moved up,
/// moved down, and moved because the place is taken.
#[test]
fn a_library_with_an_address_of_its_own_is_found() {
    let folder = folder();
    let fixed = fixed_next(&folder);
    for at in ["0x10000000", "0x600000000000", "0x7ffe00000000"] {
        for style in ["sysv", "gnu"] {
            let options = [&*format!("-Wl,-Ttext-segment={at}"), &*format!("-Wl,--hash-style={style}")];
            let library = second(&folder, &options);
            let other = second(&folder, &[options[0], options[1], "-DNOTHING"]);
            for program in [&fixed, &program("next"), &program("next.musl")] {
                let what = format!("{} at {at}, {style}", program.display());
                assert_eq!(behind_shim(program, &[&library]), SECOND, "{what}");
                assert_eq!(behind_shim(program, &[&other, &library]), SECOND, "{what}, moved");
            }
        }
    }
}

/// Started as an argument of the dynamic loader, the program is not what the kernel executed.
#[test]
fn a_program_run_by_its_loader_is_walked() {
    let folder = folder();
    let library = second(&folder, &[]);
    for (loader, name) in [("/lib64/ld-linux-x86-64.so.2", "next"), ("/lib/ld-musl-x86_64.so.1", "next.musl")]
    {
        let mut run = bare(loader);
        run.arg(program(name)).env("LD_PRELOAD", preload(&[&library]));
        assert_eq!(text(&succeed(&mut run).stdout), SECOND, "{loader}");
        let mut run = bare(loader);
        run.arg(program(name)).env("LD_PRELOAD", shim());
        assert_eq!(text(&succeed(&mut run).stdout), LIBC, "{loader}, libc's own");
    }
}

/// Nothing is loaded into a static program, and nothing happens to it.
#[test]
fn a_static_program_is_unharmed() {
    let folder = folder();
    let pie = folder.path().join("next-static-pie");
    let source = common::root().join("test-programs/next.c");
    succeed(Command::new("cc").args(["-static-pie", "-o"]).arg(&pie).arg(source));
    for program in [&program("next.static"), &pie] {
        let output = succeed(under_shim(program).env("EVERCALL_LOG", "all"));
        assert_eq!((text(&output.stdout), text(&output.stderr)), (LIBC.to_owned(), String::new()));
    }
}

/// A built library, to be damaged.
struct Damaged {
    bytes: Vec<u8>,
    to: PathBuf,
}

impl Damaged {
    fn copy_of(library: &Path, what: &str) -> Damaged {
        let to = library.with_extension(format!("{what}.so"));
        Damaged { bytes: std::fs::read(library).unwrap(), to }
    }

    /// Where a section lies in the file.
    fn section(&self, name: &str) -> usize {
        let file = ElfFile64::<object::Endianness>::parse(&*self.bytes).expect("an ELF file");
        let section = file.section_by_name(name).unwrap_or_else(|| panic!("no section {name}"));
        section.file_range().expect("bytes in the file").0 as usize
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    fn put(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// Where the GNU hash table has the bucket of `epoll_create`, and the chain that starts there.
    fn gnu_bucket_and_chain(&self) -> (usize, usize) {
        let table = self.section(".gnu.hash");
        let (buckets, first, bloom) = (self.word(table), self.word(table + 4), self.word(table + 8));
        let hash = b"epoll_create".iter().fold(5381u32, |h, &b| h.wrapping_mul(33).wrapping_add(b.into()));
        let start = table + 16 + bloom as usize * 8;
        let bucket = start + (hash % buckets) as usize * 4;
        let chain = start + buckets as usize * 4 + (self.word(bucket) - first) as usize * 4;
        (bucket, chain)
    }

    /// Where the System V hash table has the bucket of `epoll_create`, and the chain's first entry.
    fn sysv_bucket_and_chain(&self) -> (usize, usize) {
        let table = self.section(".hash");
        let hash = b"epoll_create".iter().fold(0u32, |h, &b| {
            let h = (h << 4).wrapping_add(b.into());
            (h ^ (h >> 24 & 0xf0)) & 0x0fff_ffff
        });
        let buckets = self.word(table);
        let bucket = table + 8 + (hash % buckets) as usize * 4;
        (bucket, table + 8 + (buckets + self.word(bucket)) as usize * 4)
    }

    /// Takes a tag out of the dynamic section: it becomes one that no loader knows.
    fn without_tag(&mut self, tag: u32) {
        let mut at = self.section(".dynamic");
        while self.word(at) != 0 {
            if self.word(at) == tag {
                self.put(at, 0x6000_0000);
                return;
            }
            at += 16;
        }
        panic!("no tag {tag:#x}");
    }

    fn written(&self) -> &Path {
        std::fs::write(&self.to, &self.bytes).unwrap();
        &self.to
    }
}

/// Damage, and what it is called. ld.so itself never reads what is damaged, since it finds the symbol in
/// the shim and goes no further.
type Damage = (&'static str, fn(&mut Damaged));

/// A damaged library does not crash the walk: the symbol counts as absent there, and libc's is next.
fn counts_as_absent(options: &[&str], damages: &[Damage]) {
    let folder = folder();
    let library = second(&folder, options);
    assert_eq!(behind_shim(program("next"), &[&library]), SECOND, "undamaged");
    for (what, damage) in damages {
        let mut damaged = Damaged::copy_of(&library, what);
        damage(&mut damaged);
        let alone =
            bare(program("legacy")).arg("none").env("LD_PRELOAD", damaged.written()).output().unwrap();
        assert!(alone.status.success(), "{what}: the loader itself does not live with this");
        assert_eq!(behind_shim(program("next"), &[damaged.written()]), LIBC, "{what}");
    }
}

/// Damage of DT_GNU_HASH.
#[test]
fn a_damaged_gnu_hash_table_counts_as_empty() {
    fn bucket(library: &mut Damaged, value: u32) {
        let (bucket, _) = library.gnu_bucket_and_chain();
        library.put(bucket, value);
    }
    fn header(library: &mut Damaged, index: usize, value: u32) {
        let table = library.section(".gnu.hash");
        library.put(table + index * 4, value);
    }
    counts_as_absent(
        &["-Wl,--hash-style=gnu", "-DMANY"],
        &[
            ("empty-bucket", |l| bucket(l, 0)),
            ("hole-before-the-first-symbol", |l| {
                header(l, 1, 3);
                bucket(l, 1);
            }),
            ("bucket-past-the-end", |l| bucket(l, 100_000)),
            ("bucket-far-past-the-end", |l| bucket(l, 0x7fff_ffff)),
            ("bucket-all-ones", |l| bucket(l, u32::MAX)),
            ("no-buckets", |l| header(l, 0, 0)),
            ("endless-chain", |l| {
                let (_, mut chain) = l.gnu_bucket_and_chain();
                let end = l.section(".dynsym");
                while chain < end {
                    let even = l.word(chain) & !1 ^ 0x1000;
                    l.put(chain, even);
                    chain += 4;
                }
            }),
        ],
    );
    // With so few symbols the bloom filter keeps ld.so off the buckets.
    counts_as_absent(
        &["-Wl,--hash-style=gnu"],
        &[
            ("first-symbol-past-the-end", |l| header(l, 1, u32::MAX)),
            ("too-many-buckets", |l| header(l, 0, u32::MAX)),
            ("a-few-buckets-too-many", |l| header(l, 0, 0x1000)),
        ],
    );
}

/// Damage of DT_HASH.
#[test]
fn a_damaged_sysv_hash_table_counts_as_empty() {
    fn bucket(library: &mut Damaged, value: u32) {
        let (bucket, _) = library.sysv_bucket_and_chain();
        library.put(bucket, value);
    }
    fn header(library: &mut Damaged, index: usize, value: u32) {
        let table = library.section(".hash");
        library.put(table + index * 4, value);
    }
    counts_as_absent(
        &["-Wl,--hash-style=sysv", "-DMANY"],
        &[
            ("empty-bucket", |l| bucket(l, 0)),
            ("bucket-past-the-end", |l| bucket(l, 100_000)),
            ("bucket-all-ones", |l| bucket(l, u32::MAX)),
            ("bucket-and-count-all-ones", |l| {
                header(l, 1, u32::MAX);
                bucket(l, 0x7fff_ffff);
            }),
            ("no-buckets", |l| header(l, 0, 0)),
            ("no-symbols", |l| header(l, 1, 0)),
            ("chain-in-a-circle", |l| {
                let (bucket, _) = l.sysv_bucket_and_chain();
                let table = l.section(".hash");
                // Another symbol, whose chain comes back to itself.
                let epoll = l.word(bucket);
                let other = if epoll == 1 { 2 } else { 1 };
                let chain = table + 8 + (l.word(table) + other) as usize * 4;
                l.put(bucket, other);
                l.put(chain, other);
            }),
        ],
    );
}

/// A name that lies outside the string table is nobody's.
#[test]
fn a_symbol_with_a_damaged_name_is_passed_over() {
    counts_as_absent(
        &["-Wl,--hash-style=gnu", "-DMANY"],
        &[("name-past-the-end", |l| {
            let (bucket, chain) = l.gnu_bucket_and_chain();
            let table = l.section(".gnu.hash");
            let hash =
                b"epoll_create".iter().fold(5381u32, |h, &b| h.wrapping_mul(33).wrapping_add(b.into()));
            let mut index = l.word(bucket) as usize;
            let mut at = chain;
            while l.word(at) | 1 != hash | 1 {
                assert!(at > table, "found before the chain's end");
                index += 1;
                at += 4;
            }
            let symbol = l.section(".dynsym") + index * 24;
            l.put(symbol, u32::MAX);
        })],
    );
}

/// A library without a hash table has no symbol that anybody could find. (Without DT_SYMTAB glibc itself
/// does not live, so that form is not met.)
#[test]
fn a_library_without_a_hash_table_is_passed_over() {
    const DT_GNU_HASH: u32 = 0x6fff_fef5;
    counts_as_absent(&["-Wl,--hash-style=gnu"], &[("no-hash-table", |l| l.without_tag(DT_GNU_HASH))]);
}

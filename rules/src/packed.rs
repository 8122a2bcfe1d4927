//! The table as the shim holds it: numbers and offsets only, no pointer to relocate.

use crate::{ArgumentKind, Trigger, ending};

/// System call numbers the bitmaps cover; slots from here on belong to interfaces only a libc has.
pub const NUMBERS: usize = 512;

/// 64-bit words of a bitmap by slot.
pub const SLOT_WORDS: usize = NUMBERS / 64 + 1;

/// Offset and length of a string in `TEXT`.
#[derive(Clone, Copy)]
struct Str(u16, u8);

impl Str {
    fn bytes(self) -> &'static [u8] {
        let start = usize::from(self.0);
        TEXT.get(start..start + usize::from(self.1)).unwrap_or(b"")
    }
}

struct PackedRule {
    name: Str,
    slot: u16,
    trigger: Trigger,
    /// Answers of the host that make it act: an errno, 0, or [`NO_ANSWER`].
    results: [u8; 2],
    probe: u8,
    first_argument: u16,
    arguments: u8,
    wide: bool,
    repair: bool,
    sane: bool,
    refuses: bool,
}

/// Fills a list of answers.
const NO_ANSWER: u8 = 255;

struct PackedArgument {
    name: Str,
    kind: ArgumentKind,
}

/// Harmless arguments, and the errno of an unfiltered kernel for an unprivileged caller.
pub struct Probe {
    /// The six arguments, to be sign-extended.
    pub arguments: [i32; 6],
    /// The errno that is due.
    pub errno: u8,
}

impl RuleId {
    fn row(self) -> Option<&'static PackedRule> {
        RULES.get(self as usize)
    }

    /// All rules.
    pub fn all() -> impl Iterator<Item = RuleId> + Clone {
        IDS.iter().copied()
    }

    /// How many rules there are.
    pub const COUNT: usize = IDS.len();

    /// The rule of an x86-64 system call number.
    pub fn of_number(number: usize) -> Option<RuleId> {
        let id = *RULE_OF_NUMBER.get(number)?;
        IDS.get(usize::from(id).checked_sub(1)?).copied()
    }

    /// The name in logs and settings.
    pub fn name(self) -> &'static [u8] {
        self.row().map_or(b"", |row| row.name.bytes())
    }

    /// The rule's bit in the bitmaps: the number of its first call, or one from [`NUMBERS`] up.
    pub fn slot(self) -> usize {
        self.row().map_or(NUMBERS, |row| usize::from(row.slot))
    }

    /// The x86-64 number of its first system call.
    pub fn number(self) -> Option<usize> {
        Some(self.slot()).filter(|&slot| slot < NUMBERS)
    }

    /// When it acts.
    pub fn trigger(self) -> Trigger {
        self.row().map_or(Trigger::Match, |row| row.trigger)
    }

    /// Whether some answers of the host that has the call make it act.
    pub fn acts_on_results(self) -> bool {
        self.row().is_some_and(|row| row.results != [NO_ANSWER; 2])
    }

    /// Whether this answer of the host, -errno or 0, makes it act.
    pub fn acts_on(self, answer: isize) -> bool {
        let of = |result: u8| result != NO_ANSWER && answer == -isize::from(result);
        self.row().is_some_and(|row| row.results.iter().copied().any(of))
    }

    /// How to tell a filter's EPERM from the kernel's.
    pub fn probe(self) -> Option<&'static Probe> {
        PROBES.get(usize::from(self.row()?.probe))
    }

    /// Whether its libc function returns a `long` or `ssize_t`, not an `int`.
    pub fn is_wide(self) -> bool {
        self.row().is_some_and(|row| row.wide)
    }

    /// Whether callers fall back on ENOSYS alone, so that a filter's EPERM is worth turning into it.
    pub fn is_repaired(self) -> bool {
        self.row().is_some_and(|row| row.repair)
    }

    /// Whether kernels are known to answer this number with nonsense: the probe is asked first.
    pub fn is_doubted(self) -> bool {
        self.row().is_some_and(|row| row.sane)
    }

    /// Whether all it does is to answer as a kernel without the call.
    pub fn refuses(self) -> bool {
        self.row().is_some_and(|row| row.refuses)
    }

    /// Names and kinds of the arguments.
    pub fn arguments(self) -> impl Iterator<Item = (&'static [u8], ArgumentKind)> {
        let (first, count) =
            self.row().map_or((0, 0), |r| (usize::from(r.first_argument), usize::from(r.arguments)));
        let rows = ARGUMENTS.get(first..first + count).unwrap_or(&[]);
        rows.iter().map(|argument| (argument.name.bytes(), argument.kind))
    }
}

/// How a path is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileAnswer {
    /// The host lacks the file: its text is made from what the host has.
    Synthesised,
    /// A folder that only holds such files.
    Folder,
    /// The host has the file: its text is cut to an older form.
    Trimmed,
    /// The file has another name today.
    Renamed,
    /// The host lacks the file: it reads as its old default, and what is written is dropped.
    Swallowed,
    /// The host has the file, but it is opened in another way, or another in its place.
    Exchanged,
    /// The host has the folder, but another file system is mounted there: statfs(2) says which it was.
    Mount,
    /// The host lacks the folder, and it stays missing: only statfs(2) answers, that it has no room.
    Full,
}

struct PackedFile {
    path: Str,
    rule: RuleId,
    answer: FileAnswer,
    maker: FileMaker,
    to: Str,
}

/// A row of the file rules.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FileId(u16);

impl FileId {
    /// The row of a path, which must be absolute and plain.
    pub fn of_path(path: &[u8]) -> Option<FileId> {
        let (mut low, mut high) = (0, FILES.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match FILES.get(middle)?.path.bytes().cmp(path) {
                core::cmp::Ordering::Less => low = middle + 1,
                core::cmp::Ordering::Equal => return u16::try_from(middle).ok().map(FileId),
                core::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Every row, sorted by path.
    pub fn all() -> impl Iterator<Item = FileId> {
        (0..FILES.len()).filter_map(|index| u16::try_from(index).ok().map(FileId))
    }

    /// The place of the row among all, for those who count.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The path of the row.
    pub fn path(self) -> &'static [u8] {
        self.row().map_or(b"", |row| row.path.bytes())
    }

    /// Whether a row's path may end with these four bytes, little-endian. Rows end with a slash and three bytes at least.
    #[inline(always)]
    pub fn may_end(last: u32) -> bool {
        let bit = ending::bit(last);
        FILE_ENDINGS.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    fn row(self) -> Option<&'static PackedFile> {
        FILES.get(usize::from(self.0))
    }

    /// The rule it belongs to.
    pub fn rule(self) -> Option<RuleId> {
        self.row().map(|row| row.rule)
    }

    /// How it is answered.
    pub fn answer(self) -> Option<FileAnswer> {
        self.row().map(|row| row.answer)
    }

    /// What makes its text.
    pub fn maker(self) -> FileMaker {
        self.row().map_or(FileMaker::None, |row| row.maker)
    }

    /// The path it is renamed to, the folder it stands for, or the fixed text.
    pub fn to(self) -> &'static [u8] {
        self.row().map_or(b"", |row| row.to.bytes())
    }
}

/// How kernel 5.4 converted between a file under /proc/sys and the binary value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SysctlType {
    /// Text; one trailing newline cut.
    String,
    /// A vector of C `unsigned int`.
    Int,
    /// A vector of C `unsigned long`.
    Long,
    /// Sixteen bytes of a UUID.
    Uuid,
    /// A DECnet node address.
    DnAddress,
}

/// A row of the binary sysctl name space.
struct SysctlRow {
    number: i32,
    file: Str,
    leads_to: u8,
}

impl SysctlRow {
    const fn file(r#type: SysctlType) -> u8 {
        0x80 | r#type as u8
    }

    const fn table(index: u8) -> u8 {
        index
    }
}

/// A step of a binary sysctl name.
pub enum SysctlStep {
    /// A folder named like this, and the table of the names in it.
    Table(&'static [u8], SysctlTable),
    /// A file named like this, with its conversion.
    File(&'static [u8], SysctlType),
}

/// A table of binary sysctl names.
#[derive(Clone, Copy)]
pub struct SysctlTable(u8);

impl SysctlTable {
    /// The table of `CTL_KERN`, `CTL_VM` and so on.
    pub const ROOT: SysctlTable = SysctlTable(SYSCTL_ROOT);

    /// Looks a number up. A table's interface row (its file name is empty) fits any number that is an
    /// interface index: `interface` tells whether this one is, and is asked only there.
    pub fn step(self, number: i32, mut interface: impl FnMut() -> bool) -> Option<SysctlStep> {
        let &(first, count) = SYSCTL_TABLES.get(usize::from(self.0))?;
        let first = usize::from(first);
        for row in SYSCTL_ROWS.get(first..first + usize::from(count))? {
            let name = row.file.bytes();
            if if name.is_empty() { interface() } else { row.number == number } {
                return Some(match row.leads_to {
                    0x80 => SysctlStep::File(name, SysctlType::String),
                    0x81 => SysctlStep::File(name, SysctlType::Int),
                    0x82 => SysctlStep::File(name, SysctlType::Long),
                    0x83 => SysctlStep::File(name, SysctlType::Uuid),
                    0x84.. => SysctlStep::File(name, SysctlType::DnAddress),
                    table => SysctlStep::Table(name, SysctlTable(table)),
                });
            }
        }
        None
    }
}

include!(concat!(env!("OUT_DIR"), "/packed.rs"));

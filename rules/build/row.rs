//! The rows as they stand in the TOML files, and the words that a column may hold.

use serde::Deserialize;
use toml::Spanned;

/// A row of `table/calls/*.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub x86_64: Option<u16>,
    pub i386: Option<u16>,
    pub since: String,
    pub until: Option<String>,
    pub option: Option<String>,
    pub note: Option<String>,
    pub reason: Option<String>,
    pub source: String,
}

/// A row of `table/rules/*.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(default)]
    pub calls: Vec<Spanned<String>>,
    #[serde(default)]
    pub symbols: Vec<Spanned<String>>,
    #[serde(default)]
    pub by_hand: Vec<Spanned<String>>,
    pub arguments: Vec<Spanned<String>>,
    #[serde(default)]
    pub returns: Option<Spanned<String>>,
    pub trigger: Spanned<String>,
    pub probe: Option<Spanned<Probe>>,
    #[serde(default)]
    pub repair: bool,
    #[serde(default)]
    pub sane: bool,
    pub handler: Option<Spanned<String>>,
    pub does: String,
    pub fidelity: Spanned<String>,
    pub difference: Option<String>,
    #[serde(default)]
    pub proof: Vec<Spanned<String>>,
    pub source: String,
}

/// A row of `table/files.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRow {
    pub rule: Spanned<String>,
    pub answer: Spanned<String>,
    pub by: Option<Spanned<String>>,
    pub to: Option<String>,
}

/// Harmless arguments, and what an unfiltered kernel answers to them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub arguments: Vec<i32>,
    pub errno: String,
}

/// A row of `table/asks.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    pub arguments: Option<Vec<i32>>,
    pub due: Option<String>,
    pub needs: Option<String>,
    #[serde(default)]
    pub drops: bool,
    pub not_asked: Option<String>,
}

/// A row of `table/doors.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Door {
    pub symbols: Vec<Spanned<String>>,
    pub does: String,
    pub source: String,
}

/// A row of `table/operations/*.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    pub call: Spanned<String>,
    pub value: i64,
    pub since: String,
    pub until: Option<String>,
    pub option: Option<String>,
    pub now: Spanned<String>,
    pub ask: Option<Vec<i64>>,
    pub note: Option<String>,
    pub source: String,
}

/// A row of `table/sysctl-names.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SysctlName {
    pub number: Option<i32>,
    #[serde(default)]
    pub interface: bool,
    pub file: Option<String>,
    pub r#type: Option<String>,
    pub table: Option<String>,
}

/// How an argument is shown in the log: the word in the TOML file, the variant of `ArgumentKind`.
pub const ARGUMENT_KINDS: &[(&str, &str)] = &[
    ("int", "Int"),
    ("size", "Size"),
    ("hex", "Hex"),
    ("pointer", "Pointer"),
    ("string", "String"),
    ("device", "Device"),
    ("sysctl", "Sysctl"),
];

/// The words of the fidelity column, and the variant of `Fidelity`.
pub const FIDELITIES: &[(&str, &str)] =
    &[("exact", "Exact"), ("partial", "Partial"), ("refuse", "Refuse"), ("pretend", "Pretend")];

/// The words of the answer column of `files.toml`, and the variant of `FileAnswer`.
pub const FILE_ANSWERS: &[(&str, &str)] = &[
    ("synthesised", "Synthesised"),
    ("folder", "Folder"),
    ("trimmed", "Trimmed"),
    ("renamed", "Renamed"),
    ("swallowed", "Swallowed"),
    ("exchanged", "Exchanged"),
    ("mount", "Mount"),
    ("full", "Full"),
];

/// The conversions of the binary sysctl tables, and the variant of `SysctlType`.
pub const SYSCTL_TYPES: &[(&str, &str)] =
    &[("string", "String"), ("int", "Int"), ("long", "Long"), ("uuid", "Uuid"), ("dn_address", "DnAddress")];

/// What an ask's `due` may hold beside errno names.
pub const ENDS: &[&str] = &["success", "exits", "SIGILL"];

/// The errno names that `trigger`, `probe` and `due` may hold, with their x86 numbers (errno(3)).
pub const ERRNOS: &[(&str, u8)] = &[
    ("EPERM", 1),
    ("ENOENT", 2),
    ("ESRCH", 3),
    ("EINTR", 4),
    ("ENXIO", 6),
    ("E2BIG", 7),
    ("ENOEXEC", 8),
    ("EBADF", 9),
    ("ECHILD", 10),
    ("EAGAIN", 11),
    ("ENOMEM", 12),
    ("EACCES", 13),
    ("EFAULT", 14),
    ("ENODEV", 19),
    ("ENOTDIR", 20),
    ("EINVAL", 22),
    ("EMFILE", 24),
    ("ENOTTY", 25),
    ("ESPIPE", 29),
    ("EDOM", 33),
    ("ERANGE", 34),
    ("ENOSYS", 38),
    ("EPROTO", 71),
    ("EOPNOTSUPP", 95),
    ("EAFNOSUPPORT", 97),
];

/// What a kernel without an operation may answer, beside the errnos above: other errnos, and words.
pub const ANSWERS_NOW: &[&str] =
    &["0", "ignored", "another", "EIO", "ENOPROTOOPT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EAFNOSUPPORT"];

/// Stands in a rule's list of answers that make it act where the list is shorter.
pub const NO_ANSWER: u8 = 255;

/// Most answers that make a rule act.
pub const ANSWERS: usize = 2;

/// Finds a word in one of the lists above.
pub fn word<T: Copy>(words: &[(&str, T)], word: &str) -> Option<T> {
    words.iter().find(|(w, _)| *w == word).map(|(_, t)| *t)
}

//! Writes the table as Rust. Two forms: `table.rs` with plain strings for the command, and `packed.rs`
//! without a single pointer for the shim, where each pointer would be a relocation at every exec.

use crate::check::{NUMBERS, Trigger, answer, find_call, probe_of, trigger};
use crate::ending;
use crate::read::Table;
use crate::row::{
    ANSWERS, ARGUMENT_KINDS, ERRNOS, FIDELITIES, FILE_ANSWERS, FileRow, NO_ANSWER, Rule, SYSCTL_TYPES, word,
};
use std::fmt::Write as _;

/// Rules in the order of their files, with family and name.
fn rules(table: &Table) -> impl Iterator<Item = (&str, &str, &Rule)> {
    table.rules.iter().flat_map(|(file, rows)| {
        rows.iter().map(|(name, rule)| (file.family(), name.get_ref().as_str(), rule.get_ref()))
    })
}

/// `query_module` -> `QueryModule`.
fn variant(name: &str) -> String {
    name.split('_')
        .map(|part| {
            let mut chars = part.chars();
            chars.next().map_or(String::new(), |c| c.to_ascii_uppercase().to_string() + chars.as_str())
        })
        .collect()
}

fn strings<'a>(list: impl Iterator<Item = &'a str>) -> String {
    format!("&[{}]", list.map(|s| format!("{s:?}")).collect::<Vec<_>>().join(", "))
}

/// The form with strings.
pub fn table(table: &Table) -> String {
    let mut out = String::from("/// Every system call, sorted by name.\npub static CALLS: &[Call] = &[\n");
    let mut calls: Vec<_> = table
        .calls
        .iter()
        .flat_map(|(file, rows)| rows.iter().map(|(n, row)| (n.get_ref(), file.family(), row.get_ref())))
        .collect();
    calls.sort_by_key(|(name, ..)| name.as_str());
    for (name, family, c) in calls {
        let _ = writeln!(
            out,
            "Call {{ name: {name:?}, family: {family:?}, x86_64: {:?}, i386: {:?}, since: {:?}, until: {:?}, \
             option: {:?}, note: {:?}, reason: {:?}, source: {:?}, question: {} }},",
            c.x86_64,
            c.i386,
            c.since,
            c.until,
            c.option,
            c.note,
            c.reason,
            c.source,
            question(table, name)
        );
    }
    out += "];\n/// Every rule, by family.\npub static RULES: &[Rule] = &[\n";
    for (family, name, r) in rules(table) {
        let _ = writeln!(
            out,
            "Rule {{ name: {name:?}, family: {family:?}, calls: {}, symbols: {}, arguments: {}, \
             trigger: Trigger::{}, results: {}, probe: {}, repair: {}, does: {:?}, fidelity: Fidelity::{}, \
             difference: {:?}, proof: {}, source: {:?} }},",
            strings(r.calls.iter().map(|s| s.get_ref().as_str())),
            strings(r.symbols.iter().chain(&r.by_hand).map(|s| s.get_ref().as_str())),
            strings(r.arguments.iter().map(|s| s.get_ref().as_str())),
            trigger_of(r).variant,
            strings(trigger_of(r).results.into_iter()),
            match &r.probe {
                Some(p) => format!("Some(({:?}, &{:?}))", p.get_ref().errno, p.get_ref().arguments),
                None => "None".into(),
            },
            r.repair,
            r.does,
            word(FIDELITIES, r.fidelity.get_ref()).expect("checked"),
            r.difference,
            strings(r.proof.iter().map(|s| s.get_ref().as_str())),
            r.source,
        );
    }
    out += "];\n/// Exported symbols that belong to no rule.\npub static DOORS: &[Door] = &[\n";
    for (name, row) in &table.doors.1 {
        let row = row.get_ref();
        let _ = writeln!(
            out,
            "Door {{ name: {:?}, symbols: {}, does: {:?}, source: {:?} }},",
            name.get_ref(),
            strings(row.symbols.iter().map(|s| s.get_ref().as_str())),
            row.does,
            row.source
        );
    }
    out + "];\n"
}

/// What `evercall probe` asks about a call.
fn question(table: &Table, call: &str) -> String {
    let row = table.asks.1.iter().find(|(name, _)| name.get_ref() == call).map(|(_, row)| row.get_ref());
    if let Some(why) = row.and_then(|row| row.not_asked.as_deref()) {
        return format!("Some(Question::NotAsked({why:?}))");
    }
    if let Some((rule, probe)) = probe_of(table, call) {
        return format!(
            "Some(Question::Ask(Ask {{ arguments: &{:?}, due: &[{:?}], needs: None, drops: false, rule: Some({rule:?}) }}))",
            probe.arguments, probe.errno
        );
    }
    match row.and_then(|row| Some((row, row.arguments.as_ref()?, row.due.as_ref()?))) {
        Some((row, arguments, due)) => format!(
            "Some(Question::Ask(Ask {{ arguments: &{arguments:?}, due: {}, needs: {:?}, drops: {}, rule: None }}))",
            strings(due.split(' ')),
            row.needs,
            row.drops
        ),
        None => "None".into(),
    }
}

fn trigger_of(rule: &Rule) -> Trigger<'_> {
    trigger(rule.trigger.get_ref()).expect("checked")
}

/// The answers that make a rule act, as the shim holds them.
fn results_of(rule: &Rule) -> [u8; ANSWERS] {
    let mut results = [NO_ANSWER; ANSWERS];
    for (to, name) in results.iter_mut().zip(trigger_of(rule).results) {
        *to = answer(name).expect("checked");
    }
    results
}

/// All strings of the packed form, each once, in one text.
#[derive(Default)]
struct Text(String);

impl Text {
    fn add(&mut self, s: &str) -> String {
        let offset = self.0.find(s).unwrap_or_else(|| {
            self.0.push_str(s);
            self.0.len() - s.len()
        });
        format!("Str({offset}, {})", s.len())
    }
}

/// The form without pointers.
pub fn packed(table: &Table) -> String {
    let mut text = Text::default();
    let mut out = String::from(
        "/// A rule, as the shim knows it.\n#[repr(u8)]\n#[derive(Clone, Copy, PartialEq, Eq, Debug)]\npub enum RuleId {\n",
    );
    for (_, name, rule) in rules(table) {
        let _ = writeln!(out, "/// `{name}`: {}.\n{},", rule.does, variant(name));
    }
    out += "}\n";
    let (mut rows, mut arguments, mut probes, mut ids) =
        (String::new(), String::new(), String::new(), String::new());
    let mut rule_of_number = [0u8; NUMBERS as usize];
    let mut handed_on = [u64::MAX; SLOT_WORDS];
    let (mut argument_count, mut probe_count, mut libc_only) = (0, 0, NUMBERS);
    for (index, (_, name, rule)) in rules(table).enumerate() {
        let numbers: Vec<u16> =
            rule.calls.iter().filter_map(|c| find_call(table, c.get_ref())?.x86_64).collect();
        let slot = numbers.first().copied().unwrap_or_else(|| {
            libc_only += 1;
            libc_only - 1
        });
        let id = u8::try_from(index + 1).expect("fewer than 255 rules");
        if !matches!(rule.trigger.get_ref().as_str(), "start") {
            handed_on[usize::from(slot / 64)] &= !(1 << (slot % 64));
        }
        for number in numbers {
            rule_of_number[usize::from(number)] = id;
            handed_on[usize::from(number / 64)] &= !(1 << (number % 64));
        }
        let first_argument = argument_count;
        for argument in &rule.arguments {
            let (name, kind) = argument.get_ref().split_once(": ").expect("checked");
            let kind = word(ARGUMENT_KINDS, kind).expect("checked");
            let _ = writeln!(
                arguments,
                "PackedArgument {{ name: {}, kind: ArgumentKind::{kind} }},",
                text.add(name)
            );
            argument_count += 1;
        }
        let probe = match &rule.probe {
            Some(probe) => {
                let probe = probe.get_ref();
                let mut args = probe.arguments.clone();
                args.resize(6, 0);
                let errno = word(ERRNOS, &probe.errno).expect("checked");
                let _ = writeln!(probes, "Probe {{ arguments: {args:?}, errno: {errno} }},");
                probe_count += 1;
                probe_count - 1
            }
            None => 255,
        };
        let _ = writeln!(
            rows,
            "PackedRule {{ name: {}, slot: {slot}, trigger: Trigger::{}, results: {:?}, probe: {probe}, first_argument: {first_argument}, arguments: {}, \
             wide: {}, repair: {}, sane: {}, refuses: {} }},",
            text.add(name),
            trigger_of(rule).variant,
            results_of(rule),
            rule.arguments.len(),
            rule.returns.is_some(),
            rule.repair,
            rule.sane,
            rule.fidelity.get_ref() == "refuse",
        );
        let _ = write!(ids, "RuleId::{}, ", variant(name));
    }
    let count = rules(table).count();
    let _ = writeln!(out, "static RULES: [PackedRule; {count}] = [\n{rows}];");
    let _ = writeln!(out, "static IDS: [RuleId; {count}] = [{ids}];");
    let _ = writeln!(out, "static ARGUMENTS: [PackedArgument; {argument_count}] = [\n{arguments}];");
    let _ = writeln!(out, "static PROBES: [Probe; {probe_count}] = [\n{probes}];");
    let _ = writeln!(out, "static RULE_OF_NUMBER: [u8; {NUMBERS}] = {rule_of_number:?};");
    let _ = writeln!(
        out,
        "/// Slots that no rule claims: their calls are handed on from the start.\npub const HANDED_ON: [u64; SLOT_WORDS] = {handed_on:?};"
    );
    files(table, &mut text, &mut out);
    sysctl(table, &mut text, &mut out);
    let _ = writeln!(out, "static TEXT: [u8; {}] = *b{:?};", text.0.len(), text.0);
    out
}

/// The file rules, sorted by path.
fn sorted_files(table: &Table) -> Vec<(&str, &FileRow)> {
    let rows = table.files.1.iter();
    let mut files: Vec<_> = rows.map(|(path, row)| (path.get_ref().as_str(), row.get_ref())).collect();
    files.sort_unstable_by_key(|(path, _)| *path);
    files
}

/// The functions that make files, each once, as variants and as they are written.
fn makers(table: &Table) -> Vec<(String, &str)> {
    let mut makers: Vec<_> = table.files.1.values().filter_map(|row| row.get_ref().by.as_ref()).collect();
    makers.sort_unstable_by_key(|by| by.get_ref());
    makers.dedup_by_key(|by| by.get_ref());
    makers.iter().map(|by| (variant(&by.get_ref().replace("::", "_")), by.get_ref().as_str())).collect()
}

fn files(table: &Table, text: &mut Text, out: &mut String) {
    *out += "/// A function that makes a file's text.\n#[derive(Clone, Copy, PartialEq, Eq, Debug)]\npub enum FileMaker {\n\
             /// None: the row has none.\nNone,\n";
    for (name, by) in makers(table) {
        let _ = writeln!(out, "/// `{by}`.\n{name},");
    }
    *out += "}\n";
    let (mut rows, mut endings) = (String::new(), [0u64; ending::WORDS]);
    let files = sorted_files(table);
    for (path, row) in &files {
        let maker = row.by.as_ref().map_or("None".into(), |by| variant(&by.get_ref().replace("::", "_")));
        let _ = writeln!(
            rows,
            "PackedFile {{ path: {}, rule: RuleId::{}, answer: FileAnswer::{}, maker: FileMaker::{maker}, to: {} }},",
            text.add(path),
            variant(row.rule.get_ref()),
            word(FILE_ANSWERS, row.answer.get_ref()).expect("checked"),
            text.add(row.to.as_deref().unwrap_or("")),
        );
        let bit = ending::bit(u32::from_le_bytes(*path.as_bytes().last_chunk().expect("checked")));
        endings[bit / 64] |= 1 << (bit % 64);
    }
    let _ = writeln!(out, "static FILES: [PackedFile; {}] = [\n{rows}];", files.len());
    let _ = writeln!(out, "static FILE_ENDINGS: [u64; ending::WORDS] = {endings:?};");
}

/// Words of a bitmap by slot: the system call numbers, and 64 interfaces that only a libc has.
const SLOT_WORDS: usize = NUMBERS as usize / 64 + 1;

fn sysctl(table: &Table, text: &mut Text, out: &mut String) {
    let tables = &table.sysctl.1;
    let index = |name: &str| tables.keys().position(|t| t.get_ref() == name).expect("checked");
    let (mut rows, mut spans, mut count) = (String::new(), String::new(), 0);
    for (_, names) in tables {
        let _ = write!(spans, "({count}, {}), ", names.len());
        for row in names.values() {
            let row = row.get_ref();
            let leads_to = match (&row.r#type, &row.table) {
                (Some(r#type), _) => {
                    format!("SysctlRow::file(SysctlType::{})", word(SYSCTL_TYPES, r#type).expect("checked"))
                }
                (_, Some(child)) => format!("SysctlRow::table({})", index(child)),
                _ => unreachable!("checked"),
            };
            let _ = writeln!(
                rows,
                "SysctlRow {{ number: {}, file: {}, leads_to: {leads_to} }},",
                row.number.unwrap_or(0),
                text.add(row.file.as_deref().unwrap_or("")),
            );
            count += 1;
        }
    }
    let _ = writeln!(out, "static SYSCTL_ROWS: [SysctlRow; {count}] = [\n{rows}];");
    let _ = writeln!(out, "static SYSCTL_TABLES: [(u16, u8); {}] = [{spans}];", tables.len());
    let _ = writeln!(out, "const SYSCTL_ROOT: u8 = {};", index("root"));
}

/// The lists that the shim turns into doors and into the choice of a handler.
pub fn macros(table: &Table) -> String {
    let (mut doors, mut handlers) = (String::new(), String::new());
    let makers: String = makers(table).iter().map(|(name, by)| format!("{name} => {by},\n")).collect();
    for (_, name, rule) in rules(table) {
        for symbol in &rule.symbols {
            let _ = writeln!(doors, "{} => {},", symbol.get_ref(), variant(name));
        }
        if let Some(handler) = &rule.handler {
            let _ = writeln!(handlers, "{} => {},", variant(name), handler.get_ref());
        }
    }
    format!(
        "/// Calls a macro with `symbol => RuleVariant,` for every door that the build makes.\n\
         #[macro_export]\nmacro_rules! doors {{ ($then:ident) => {{ $then! {{\n{doors}}} }} }}\n\
         /// Calls a macro with `RuleVariant => file::function,` for every handler.\n\
         #[macro_export]\nmacro_rules! handlers {{ ($then:ident) => {{ $then! {{\n{handlers}}} }} }}\n\
         /// Calls a macro with `MakerVariant => file::function,` for every maker of files.\n\
         #[macro_export]\nmacro_rules! file_makers {{ ($then:ident) => {{ $then! {{\n{makers}}} }} }}\n"
    )
}

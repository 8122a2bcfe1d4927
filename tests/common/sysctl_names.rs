//! The binary sysctl name space, read from the table's text, and what a read of each name should give: by the
//! conversions of kernel 5.4 (kernel/sysctl_binary.c), in these tests' own way.
#![allow(dead_code, reason = "each test binary uses its own part")]

use super::ask::{ask, buffer, failure, outcome};
use super::common::{root, shim, text};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What `ask` fills buffers with.
pub const FILLING: u8 = 0xa5;

/// A call that succeeded.
pub const DONE: &str = "0 1234";

/// Where the files are.
pub const PROC_SYS: &str = "/proc/sys";

/// `ask` under the shim: the host has no `_sysctl`, so nothing is forced.
pub fn repaired() -> Command {
    let mut command = ask();
    command.env("LD_PRELOAD", shim());
    command
}

/// A file of the name space.
#[derive(Clone)]
pub struct Leaf {
    /// Its numbers.
    pub name: Vec<i64>,
    /// Its path below /proc/sys.
    pub path: String,
    /// The word of its column `type`.
    pub conversion: String,
}

impl Leaf {
    /// The arguments of a read into a buffer of this many bytes.
    pub fn read(&self, room: usize) -> String {
        let name: Vec<String> = self.name.iter().map(i64::to_string).collect();
        format!("ints:{} {} buf:{room} longs:{room} null 0", name.join(","), name.len())
    }

    /// What the answer to such a read should be, from the file below a folder as it is now.
    pub fn expected(&self, root: &Path, room: usize) -> (String, Vec<u8>, usize) {
        let content = match fs::read(root.join(&self.path)) {
            Ok(content) => content,
            Err(error) => return (failure(error.raw_os_error().unwrap()), Vec::new(), room),
        };
        let (bytes, length) = match self.conversion.as_str() {
            "string" => {
                let mut bytes = content[..content.len().min(room)].to_vec();
                let newline = bytes.last() == Some(&b'\n');
                if newline {
                    *bytes.last_mut().unwrap() = 0;
                }
                let length = bytes.len() - usize::from(newline);
                (bytes, length)
            }
            "uuid" => {
                let hex: String = text(&content).chars().filter(char::is_ascii_hexdigit).collect();
                let bytes = u128::from_str_radix(&hex, 16).unwrap().to_be_bytes();
                (bytes[..room.min(16)].to_vec(), room.min(16))
            }
            "dn_address" => {
                let content = text(&content);
                match content.trim().split_once('.') {
                    Some((area, node)) => {
                        let number = |part: &str| part.parse::<u16>().unwrap();
                        ((number(area) * 1024 + number(node)).to_le_bytes().to_vec(), 2)
                    }
                    None => return (failure(libc::EIO), Vec::new(), room),
                }
            }
            kind => {
                let size = if kind == "long" { 8 } else { 4 };
                let values = unsigned(&content).into_iter().take(room / size);
                let bytes: Vec<u8> = values.flat_map(|v| v.to_le_bytes()[..size].to_vec()).collect();
                let length = bytes.len();
                (bytes, length)
            }
        };
        (DONE.to_owned(), bytes, length)
    }

    /// Whether what an answer shows and what the file says now differ as this file does by itself: a new
    /// UUID each time, and counts of inodes and names that every process moves.
    fn moves_by(&self, shown: &[u8], now: &[u8]) -> bool {
        let near = |(a, b): (&[u8], &[u8])| {
            let [a, b] = [a, b].map(|v| i64::from(u32::from_le_bytes(v.try_into().unwrap())));
            (a - b).abs() < 1000
        };
        match self.path.as_str() {
            "kernel/random/uuid" => shown != now,
            "fs/inode-nr" | "fs/inode-state" | "fs/dentry-state" => {
                shown.chunks(4).zip(now.chunks(4)).all(near)
            }
            _ => false,
        }
    }

    /// Whether an answer is what the file says.
    pub fn agrees(&self, root: &Path, answer: &str, room: usize) -> bool {
        let (result, bytes, length) = self.expected(root, room);
        let shown = buffer(answer, 1);
        outcome(answer) == result
            && (self.moves_by(&shown[..bytes.len()], &bytes) || shown[..bytes.len()] == bytes)
            && shown[bytes.len()..].iter().all(|&b| b == FILLING)
            && buffer(answer, 2) == length.to_le_bytes()
    }
}

/// Unsigned decimals with blanks between; a number that does not begin with a digit is 0 and the last.
fn unsigned(content: &[u8]) -> Vec<u64> {
    let content = text(&content[..content.len().min(255)]);
    let mut values = Vec::new();
    for word in content.split_ascii_whitespace() {
        let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
        if digits == 0 && !values.is_empty() {
            break;
        }
        values.push(word[..digits].parse().unwrap_or(0));
        if digits < word.len() {
            break;
        }
    }
    if values.is_empty() { vec![0] } else { values }
}

/// The rows of `rules/table/sysctl-names.toml` by table: each a map of its columns.
fn tables() -> HashMap<String, Vec<HashMap<String, String>>> {
    let source = fs::read_to_string(root().join("rules/table/sysctl-names.toml")).unwrap();
    let mut tables: HashMap<String, Vec<_>> = HashMap::new();
    let mut table = String::new();
    for line in source.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']').to_owned();
        } else if let Some((_, row)) = line.split_once(" = { ") {
            let columns = row.trim_end_matches([' ', '}']).split(", ");
            let columns = columns.map(|column| column.split_once(" = ").unwrap());
            let row = columns.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()));
            tables.entry(table.clone()).or_default().push(row.collect());
        }
    }
    tables
}

/// Every file of the name space, in the order of the table; rows of an interface for each of these, by index and name.
pub fn leaves(interfaces: &[(i64, &str)]) -> Vec<Leaf> {
    let tables = tables();
    let mut found = Vec::new();
    let mut open = vec![(Vec::new(), String::new(), "root".to_owned())];
    while let Some((name, path, table)) = open.pop() {
        for row in tables.get(&table).map_or(&[][..], Vec::as_slice) {
            let steps = match row.get("number") {
                Some(number) => vec![(number.parse().unwrap(), row["file"].as_str())],
                None => interfaces.to_vec(),
            };
            for (number, file) in steps {
                let name = [name.as_slice(), &[number]].concat();
                let path = if path.is_empty() { file.to_owned() } else { format!("{path}/{file}") };
                match (row.get("table"), row.get("type")) {
                    (Some(table), None) => open.push((name, path, table.clone())),
                    (None, Some(kind)) => found.push(Leaf { name, path, conversion: kind.clone() }),
                    _ => panic!("{row:?} is neither table nor file"),
                }
            }
        }
    }
    found
}

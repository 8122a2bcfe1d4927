//! Reads the TOML files. Every fault names its file and line.

use crate::row;
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Spanned;

/// What is wrong with the table, and where.
#[derive(Debug)]
pub struct Fault {
    file: PathBuf,
    line: Option<usize>,
    what: String,
}

impl Fault {
    pub fn io(file: &Path, error: &std::io::Error) -> Fault {
        Fault { file: file.into(), line: None, what: error.to_string() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{}: {}", self.file.display(), line, self.what),
            None => write!(f, "{}: {}", self.file.display(), self.what),
        }
    }
}

/// One TOML file, kept for the line numbers of later faults.
pub struct File {
    pub path: PathBuf,
    text: String,
}

impl File {
    fn open(path: PathBuf) -> Result<File, Fault> {
        let text = std::fs::read_to_string(&path).map_err(|e| Fault::io(&path, &e))?;
        Ok(File { path, text })
    }

    /// The name without folder and ending: the family of its rows.
    pub fn family(&self) -> &str {
        self.path.file_stem().and_then(|s| s.to_str()).unwrap_or("")
    }

    /// A fault at a byte of this file.
    pub fn fault(&self, at: usize, what: impl Into<String>) -> Fault {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        Fault { file: self.path.clone(), line: Some(line), what: what.into() }
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, Fault> {
        toml::from_str(&self.text).map_err(|e| {
            let at = e.span().map_or(0, |s| s.start);
            self.fault(at, e.message())
        })
    }
}

/// The rows of one file, in its order.
pub type Rows<T> = IndexMap<Spanned<String>, Spanned<T>>;

/// The whole table as read.
pub struct Table {
    pub calls: Vec<(File, Rows<row::Call>)>,
    pub rules: Vec<(File, Rows<row::Rule>)>,
    pub asks: (File, Rows<row::Ask>),
    pub operations: Vec<(File, Rows<row::Operation>)>,
    pub doors: (File, Rows<row::Door>),
    pub files: (File, Rows<row::FileRow>),
    pub sysctl: (File, IndexMap<Spanned<String>, Rows<row::SysctlName>>),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct CallsFile {
    calls: Rows<row::Call>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AsksFile {
    asks: Rows<row::Ask>,
}

/// Reads the table under a folder.
pub fn table(root: &Path) -> Result<Table, Fault> {
    let mut calls = Vec::new();
    for path in toml_files(&root.join("calls"))? {
        let file = File::open(path)?;
        let rows = file.parse::<CallsFile>()?.calls;
        calls.push((file, rows));
    }
    let rules = folder(&root.join("rules"))?;
    let operations = folder(&root.join("operations"))?;
    let asks = File::open(root.join("asks.toml"))?;
    let ask_rows = asks.parse::<AsksFile>()?.asks;
    let doors = File::open(root.join("doors.toml"))?;
    let door_rows = doors.parse()?;
    let files = File::open(root.join("files.toml"))?;
    let file_rows = files.parse()?;
    let sysctl = File::open(root.join("sysctl-names.toml"))?;
    let sysctl_rows = sysctl.parse()?;
    Ok(Table {
        calls,
        rules,
        operations,
        asks: (asks, ask_rows),
        doors: (doors, door_rows),
        files: (files, file_rows),
        sysctl: (sysctl, sysctl_rows),
    })
}

/// The rows of each file of a folder.
fn folder<T: DeserializeOwned>(folder: &Path) -> Result<Vec<(File, Rows<T>)>, Fault> {
    let mut files = Vec::new();
    for path in toml_files(folder)? {
        let file = File::open(path)?;
        let rows = file.parse()?;
        files.push((file, rows));
    }
    Ok(files)
}

/// The TOML files of a folder, sorted, so that a build does not depend on the file system.
fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let entries = std::fs::read_dir(folder).map_err(|e| Fault::io(folder, &e))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Fault::io(folder, &e))?.path();
        if path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

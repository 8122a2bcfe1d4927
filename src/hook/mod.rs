//! `evercall hook`: gives the containers of a node the library, as they are made.
//!
//! What it reads of a container (annotations, environment, files) is the container's, and may be made to mislead. A
//! doubt leaves the container as it is, with a line that says why; `--strict` makes it an error.

mod chosen;
mod create_container;
mod image;
mod mounts;
mod note;
pub mod options;
mod precreate;
mod root;

use crate::failure::Failure;
use options::{HookOptions, Stage};
use serde_json::Value;
use std::io::{self, Read as _, Write as _, stdin, stdout};

/// What was done with a container, when nothing was in doubt.
enum Outcome<T> {
    /// Nothing, since it is not meant, or has evercall already.
    Left(String),
    /// It has the library now: what is to be handed on, and how it is loaded.
    Done(T, String),
    /// It is not as it was, and has no library: it must not start.
    Harmed(String),
}

/// Bytes of the documents that engines and runtimes hand over; the largest seen are some 100 KiB.
const LONGEST_DOCUMENT: u64 = 16 << 20;

/// Carries out `evercall hook`.
pub fn hook(options: &HookOptions) -> Result<(), Failure> {
    match options.stage {
        Stage::Precreate => at_precreate(options),
        Stage::CreateContainer => at_create_container(options),
    }
}

fn at_precreate(options: &HookOptions) -> Result<(), Failure> {
    let mut given = Vec::new();
    let read = stdin().lock().take(LONGEST_DOCUMENT).read_to_end(&mut given);
    read.map_err(|error| Failure::new(format!("cannot read config.json from standard input: {error}")))?;
    let mut name = None;
    let outcome = document(&given, "config.json").and_then(|config| {
        name = config.get("hostname").and_then(Value::as_str).map(str::to_owned);
        precreate::edit(config, options)
    });
    let outcome = note::tell(outcome, name.as_deref(), options)?;
    let mut out = stdout().lock();
    // What is not changed is handed on byte for byte, also what this version cannot read.
    let written = match outcome {
        Some(changed) => out.write_all(&changed),
        None => out.write_all(&given).and_then(|()| io::copy(&mut stdin().lock(), &mut out).map(drop)),
    };
    written
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new(format!("cannot write config.json to standard output: {error}")))
}

fn at_create_container(options: &HookOptions) -> Result<(), Failure> {
    let mut given = Vec::new();
    let mut name = None;
    let read = stdin().lock().take(LONGEST_DOCUMENT).read_to_end(&mut given);
    let outcome = read
        .map_err(|error| format!("the state on standard input cannot be read: {error}"))
        .and_then(|_| document(&given, "the state on standard input"))
        .and_then(|state| {
            name = state.get("id").and_then(Value::as_str).map(str::to_owned);
            create_container::mount(&state, options)
        });
    note::tell(outcome, name.as_deref(), options).map(drop)
}

/// A JSON object, or what is wrong with it.
fn document(bytes: &[u8], what: &str) -> Result<Value, String> {
    if bytes.len() as u64 >= LONGEST_DOCUMENT {
        return Err(format!("{what} is longer than {LONGEST_DOCUMENT} bytes"));
    }
    match serde_json::from_slice(bytes) {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(format!("{what} is no JSON object")),
        Err(error) => Err(format!("{what} is not readable as JSON: {error}")),
    }
}

/// The program of a config.json.
fn command(config: &Value) -> Option<&str> {
    config.pointer("/process/args/0")?.as_str()
}

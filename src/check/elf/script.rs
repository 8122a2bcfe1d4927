//! The first line of a script.

use super::facts::Script;
use crate::program;
use std::path::Path;

/// Bytes that the kernel looks at (`BINPRM_BUF_SIZE`).
const FIRST_BYTES: usize = 256;

/// Reads `#!`. None: no script, or a line that the kernel does not take.
pub fn script(bytes: &[u8]) -> Option<Script> {
    let line = bytes.get(..bytes.len().min(FIRST_BYTES))?.strip_prefix(b"#!")?;
    let script = program::script(line)?;
    let argument = script.argument.map(|argument| argument.to_string_lossy().into_owned());
    let is_env = script.interpreter.file_name().is_some_and(|name| name == "env")
        || (script.interpreter.ends_with("busybox")
            && argument.as_deref().is_some_and(|word| word.starts_with("env ")));
    let by_env = if is_env { argument.as_deref().and_then(program_of_env) } else { None };
    Some(Script { interpreter: lossy(&script.interpreter), argument, by_env })
}

fn lossy(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The program among env's arguments: the kernel gives them as one, which `-S` divides.
fn program_of_env(argument: &str) -> Option<String> {
    let mut words = argument.split([' ', '\t']).filter(|word| !word.is_empty());
    let mut skip_next = false;
    words.find_map(|word| {
        if std::mem::take(&mut skip_next) {
            return None;
        }
        match word {
            "-u" | "-C" | "--unset" | "--chdir" => skip_next = true,
            "env" | "-S" | "--split-string" => {}
            word if word.starts_with("-S") => return word.get(2..).map(str::to_owned),
            word if word.starts_with("--split-string=") => return word.get(15..).map(str::to_owned),
            word if word.starts_with('-') || word.contains('=') => {}
            word => return Some(word.to_owned()),
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_that_env_looks_up_is_found_behind_options_and_variables() {
        let by_env = |line: &str| script(line.as_bytes()).and_then(|script| script.by_env);
        assert_eq!(by_env("#!/usr/bin/env python3\n").as_deref(), Some("python3"));
        assert_eq!(by_env("#!/usr/bin/env -S perl -w\n").as_deref(), Some("perl"));
        assert_eq!(by_env("#! /usr/bin/env -S -i A=b -u C node --flag\n").as_deref(), Some("node"));
        assert_eq!(by_env("#!/usr/bin/env -Sruby -x\n").as_deref(), Some("ruby"));
        assert_eq!(by_env("#!/bin/sh -e\n"), None);
        assert_eq!(by_env("#!/usr/bin/env\n"), None);
    }

    #[test]
    fn what_is_no_script_is_none() {
        for bytes in [&b""[..], b"#", b"#!", b"#!  \n/bin/sh", b"\x7fELF"] {
            assert_eq!(script(bytes), None);
        }
    }
}

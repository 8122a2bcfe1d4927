//! Follows docs/adding-a-rule.md in a copy of the tree: what the page says must work.

mod common;

use common::{bare, root, succeed, text};
use std::fs;
use std::path::Path;
use std::process::Command;

/// One step of the page: what to do with which file, and the code block that follows.
struct Step {
    action: String,
    file: String,
    block: String,
}

/// The steps: a line like "New file `PATH`:" and the next fenced block.
fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut pending: Option<(String, String)> = None;
    let mut block: Option<String> = None;
    for line in page.lines() {
        match (&mut block, line.starts_with("```")) {
            (Some(code), false) => *code += &format!("{line}\n"),
            (Some(code), true) => {
                if let Some((action, file)) = pending.take() {
                    steps.push(Step { action, file, block: std::mem::take(code) });
                }
                block = None;
            }
            (None, true) => block = Some(String::new()),
            (None, false) => {
                let parts: Vec<_> = line.split('`').collect();
                if let [action @ ("New file " | "Add to " | "Remove from "), file, ":"] = parts[..] {
                    pending = Some((action.trim().into(), file.into()));
                }
            }
        }
    }
    steps
}

fn apply(step: &Step, tree: &Path) {
    let file = tree.join(&step.file);
    let before = fs::read_to_string(&file).unwrap_or_default();
    let after = match step.action.as_str() {
        "New file" => {
            assert!(before.is_empty(), "{} is no new file", step.file);
            step.block.clone()
        }
        "Add to" => before + &step.block,
        _ => {
            assert!(before.contains(&step.block), "{} has no such line", step.file);
            before.replace(&step.block, "")
        }
    };
    fs::write(&file, after).expect("write a file of the copy");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("make a folder of the copy");
    for entry in fs::read_dir(from).expect("read a folder of the tree") {
        let entry = entry.expect("read a folder of the tree");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a file type").is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("copy a file of the tree");
        }
    }
}

/// The page's rule builds, is in the table, acts when forced, gives the kernel's answer, and is logged.
#[test]
fn the_page_adds_a_rule_that_works() {
    let tree = tempfile::tempdir().expect("a temporary folder");
    for part in ["rules", "shims", "src", "benches"] {
        copy(&root().join(part), &tree.path().join(part));
    }
    for file in ["Cargo.toml", "Cargo.lock"] {
        fs::copy(root().join(file), tree.path().join(file)).expect("copy a file of the tree");
    }
    let page = fs::read_to_string(root().join("docs/adding-a-rule.md")).expect("the page");
    let steps = steps(&page);
    assert_eq!(steps.len(), 4, "the page has four steps that change files");
    for step in &steps {
        apply(step, tree.path());
    }
    let build = ["build", "--locked", "--offline", "--release", "-p", "evercall-shims"];
    succeed(
        Command::new(env!("CARGO"))
            .args(build)
            .current_dir(tree.path())
            .env("CARGO_TARGET_DIR", root().join("target/adding-a-rule")),
    );
    let shim = root().join("target/adding-a-rule/release/libevercall.so");
    let program = ["-c", "import os; print(os.getpgrp() == os.getpgid(0))"];
    let output = succeed(
        bare("python3")
            .args(program)
            .env("LD_PRELOAD", shim)
            .env("EVERCALL_FORCE", "getpgrp")
            .env("EVERCALL_LOG", "all"),
    );
    assert_eq!(text(&output.stdout), "True\n");
    let log = text(&output.stderr);
    assert!(
        log.contains("getpgrp: getpgrp() = ") && log.contains("[getpgid(0)]"),
        "no line in the log: {log}"
    );
}

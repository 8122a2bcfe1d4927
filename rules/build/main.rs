//! Compiles `table/**/*.toml` into const arrays. Nothing of the table is parsed at run time.

mod check;
mod emit;
#[path = "../src/ending.rs"]
mod ending;
mod operations;
mod read;
mod row;

use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("set by cargo"));
    println!("cargo:rerun-if-changed=table");
    println!("cargo:rerun-if-changed=build");
    if let Err(fault) = run(&root.join("table"), &out) {
        // Cargo shows what a failing build script says; the fault names file and line.
        eprintln!("error: {fault}");
        std::process::exit(1);
    }
}

fn run(table: &Path, out: &Path) -> Result<(), read::Fault> {
    let table = read::table(table)?;
    check::table(&table)?;
    for (file, text) in [
        ("table.rs", emit::table(&table) + &operations::table(&table)),
        ("packed.rs", emit::packed(&table)),
        ("macros.rs", emit::macros(&table)),
    ] {
        std::fs::write(out.join(file), text).map_err(|e| read::Fault::io(&out.join(file), &e))?;
    }
    Ok(())
}

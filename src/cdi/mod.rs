//! `evercall cdi`: a specification of the Container Device Interface, by which engines give a container the library as
//! they give it a device. Where one is written twice is no matter: the text depends on the options alone.

pub mod options;

use crate::failure::Failure;
use crate::output;
use options::CdiOptions;
use serde_json::{Value, json};
use std::path::Path;

/// The vendor and class: `--device evercall.dev/shim=legacy`.
const KIND: &str = "evercall.dev/shim";

/// The devices, and what each preloads: with `$LIB`, and without for
/// images where `$LIB` is `lib` to 64-bit programs (Debian 6, Arch): the folder has the 32-bit library there.
const DEVICES: [(&str, &str); 2] = [("legacy", "$LIB/libevercall.so"), ("legacy-plain", "libevercall.so")];

/// The first version of the specification in which this is valid, so that old engines read it too: annotations of
/// specifications and `type` of mounts, which came later, are not used.
const VERSION: &str = "0.3.0";

/// Carries out `evercall cdi`.
pub fn cdi(options: &CdiOptions) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&specification(options))
        .map_err(|error| Failure::new(format!("the specification cannot be written: {error}")))?;
    match &options.output {
        Some(file) => output::write_file(file, &format!("{text}\n")),
        None => output::print(&format!("{text}\n")),
    }
}

fn specification(options: &CdiOptions) -> Value {
    let mut mounts = vec![mount(&options.folder, &options.container_folder)];
    if let Some(conf) = &options.conf {
        mounts.push(mount(conf, Path::new("/etc/evercall.conf")));
    }
    let devices: Vec<Value> = DEVICES
        .into_iter()
        .map(|(name, library)| {
            let mut env = vec![format!("LD_PRELOAD={}", options.container_folder.join(library).display())];
            env.extend(options.env.iter().cloned());
            json!({ "name": name, "containerEdits": { "env": env, "mounts": mounts } })
        })
        .collect();
    json!({ "cdiVersion": VERSION, "kind": KIND, "devices": devices })
}

fn mount(host: &Path, container: &Path) -> Value {
    json!({
        "hostPath": host.display().to_string(),
        "containerPath": container.display().to_string(),
        "options": ["bind", "ro", "nosuid", "nodev"],
    })
}

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

/// The only device.
const DEVICE: &str = "legacy";

/// The first version of the specification in which this is valid, so that old engines read it too: annotations of
/// specifications and `type` of mounts, which came later, are not used.
const VERSION: &str = "0.3.0";

/// Where packages and `make install PREFIX=/usr` put the library.
const ON_HOST: &str = "/usr/lib/evercall/libevercall.so";

/// Where containers get it.
pub const IN_CONTAINER: &str = "/usr/lib/evercall/libevercall.so";

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
    let library = options.lib.as_deref().unwrap_or(Path::new(ON_HOST));
    let mut mounts = vec![mount(library, &options.container_path)];
    if let Some(conf) = &options.conf {
        mounts.push(mount(conf, Path::new("/etc/evercall.conf")));
    }
    let mut env = vec![format!("LD_PRELOAD={}", options.container_path.display())];
    env.extend(options.env.iter().cloned());
    json!({
        "cdiVersion": VERSION,
        "kind": KIND,
        "devices": [{ "name": DEVICE, "containerEdits": { "env": env, "mounts": mounts } }],
    })
}

fn mount(host: &Path, container: &Path) -> Value {
    json!({
        "hostPath": host.display().to_string(),
        "containerPath": container.display().to_string(),
        "options": ["bind", "ro", "nosuid", "nodev"],
    })
}

//! The stage `precreate`: config.json gets the mount and LD_PRELOAD, and the runtime does the rest. It works with every
//! C library that knows LD_PRELOAD; `podman exec` and its like bring an environment of their own.

use super::chosen::Asked;
use super::image::Held;
use super::options::HookOptions;
use super::root::{Root, by_descriptor, has_only_mount_points, kind_of};
use super::{Outcome, command};
use crate::libraries::{self, HOME, PLAIN_PRELOAD};
use crate::library::{Library, NAME, has_evercall, preload_list};
use rustix::fs::{Access, FileType, access, fstat, stat};
use rustix::io::Errno;
use serde_json::{Value, json};
use std::path::{Component, Path};

const PRELOAD: &str = "LD_PRELOAD";

/// Where [`HOME`] is made, within the root.
const ABOVE_HOME: &str = "usr/lib";

/// The settings of the container.
const CONF: &str = "/etc/evercall.conf";

/// Gives a config.json the library. The result is the changed document.
pub fn edit(mut config: Value, options: &HookOptions) -> Result<Outcome<Vec<u8>>, String> {
    let asked = Asked { annotations: config.get("annotations"), command: command(&config) };
    if let Some(why) = asked.is_left(options.all, &options.deny)? {
        return Ok(Outcome::Left(why));
    }
    let environment = environment(&config)?;
    let before = value_of(&environment, PRELOAD).unwrap_or_default();
    if has_evercall(before.as_bytes()) {
        return Ok(Outcome::Left(format!("its {PRELOAD} has evercall already")));
    }
    let library =
        Library::find_without_environment(options.lib.as_deref()).map_err(|error| error.to_string())?;
    let path =
        config.pointer("/root/path").and_then(Value::as_str).ok_or("config.json names no root.path")?;
    if !path.starts_with('/') {
        return Err(format!(
            "its root.path {path} is relative, and at precreate there is no bundle to start from"
        ));
    }
    let root = Root::open(Path::new(path))?;
    let held = Held::look(&root, &library);
    if !held.glibc && held.other.is_none() {
        return Err(format!(
            "it holds no dynamic loader for {}: nothing there reads {PRELOAD}",
            library.architecture
        ));
    }
    if let Some(why) = cannot_hold(&root, &config)? {
        return Ok(Outcome::Left(why));
    }

    reached(&library.path, &config)?;
    let mut mounts = Vec::new();
    if held.folder.is_some() {
        let folder = whole_folder(&library)?;
        for (path, _) in libraries::folder(&[]) {
            reached(&folder.join(path), &config)?;
        }
        mounts.push(mount(folder, Path::new(HOME)));
        if held.is_lib() {
            mounts.push(mount(&library.path, &Path::new(HOME).join("lib").join(NAME)));
        }
    } else {
        mounts.push(mount(&library.path, Path::new(PLAIN_PRELOAD)));
    }
    let mut how = format!("by {PRELOAD}");
    if let Some(conf) = &options.conf {
        if !conf.is_file() {
            return Err(format!("{} (--conf) is no file", conf.display()));
        }
        match covered(&config, CONF) {
            None if root.own("etc").is_ok() && root.lacks("etc/evercall.conf") => {
                reached(conf, &config)?;
                mounts.push(mount(conf, Path::new(CONF)));
            }
            _ => how.push_str(&format!(", with its own {CONF}")),
        }
    }

    let list = preload_list(held.preload().as_bytes(), before.into_bytes());
    let list = String::from_utf8(list).map_err(|_| format!("its {PRELOAD} is no text"))?;
    let environment = with(environment, &list, &options.env);
    let process =
        config.get_mut("process").and_then(Value::as_object_mut).ok_or("config.json has no process")?;
    process.insert("env".into(), environment.into());
    let object = config.as_object_mut().ok_or("config.json is no JSON object")?;
    match object.entry("mounts").or_insert_with(|| json!([])) {
        Value::Array(list) => list.extend(mounts),
        place @ Value::Null => *place = mounts.into(),
        _ => return Err("its mounts are no list".into()),
    }
    let changed =
        serde_json::to_vec(&config).map_err(|error| format!("config.json cannot be written: {error}"))?;
    Ok(Outcome::Done(changed, how))
}

/// `process.env`. What is no text in it makes a doubt: a document that was not understood is not changed.
fn environment(config: &Value) -> Result<Vec<String>, String> {
    let process = config.get("process").and_then(Value::as_object).ok_or("config.json has no process")?;
    let list = match process.get("env") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(_) => return Err("its process.env is no list".into()),
    };
    let texts = list.iter().map(|entry| entry.as_str().map(str::to_owned));
    texts.collect::<Option<_>>().ok_or_else(|| "its process.env holds what is no text".into())
}

/// The value that counts: runtimes let the last of several win.
fn value_of(environment: &[String], name: &str) -> Option<String> {
    let mut values = environment.iter().filter_map(|entry| entry.strip_prefix(name)?.strip_prefix('='));
    values.next_back().map(str::to_owned)
}

/// An environment with this LD_PRELOAD, once, and with more variables where it has none of their names.
fn with(environment: Vec<String>, preload: &str, more: &[String]) -> Vec<String> {
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut out: Vec<String> = environment.into_iter().filter(|entry| name(entry) != PRELOAD).collect();
    for entry in more {
        if !out.iter().any(|present| name(present) == name(entry)) {
            out.push(entry.clone());
        }
    }
    out.push(format!("{PRELOAD}={preload}"));
    out
}

fn mount(source: &Path, destination: &Path) -> Value {
    json!({
        "destination": destination.display().to_string(),
        "type": "bind",
        "source": source.display().to_string(),
        "options": ["bind", "ro", "nosuid", "nodev", "private"],
    })
}

fn whole_folder(library: &Library) -> Result<&Path, String> {
    libraries::around(&library.path).ok_or_else(|| {
        format!(
            "it holds 32-bit programs too, which would complain about a 64-bit library at each start, and {} is not in a \
             folder with what they load (make install, the Debian package; --lib DIR/{NAME})",
            library.path.display()
        )
    })
}

/// Whether the runtime can make the mount points in the container's own files: else why not, as a doubt, or that the
/// image brings evercall itself.
fn cannot_hold(root: &Root, config: &Value) -> Result<Option<String>, String> {
    if let Some(mount) = covered(config, HOME) {
        return Err(format!("a mount at {mount} lies over {HOME}: mount points would be made in it"));
    }
    match root.own("usr/lib/evercall") {
        Ok(home) if kind_of(&home) != Ok(FileType::Directory) => {
            return Err(format!("its {HOME} is no folder"));
        }
        Ok(home) if has_only_mount_points(&home, NAME) == Ok(true) => {}
        Ok(_) => return Ok(Some(format!("it has {HOME} already"))),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(format!("its {HOME} is not to be trusted: {error}")),
    }
    let above =
        root.own(ABOVE_HOME).map_err(|error| format!("its /{ABOVE_HOME} is not to be trusted: {error}"))?;
    access(by_descriptor(&above), Access::WRITE_OK)
        .map_err(|error| format!("no mount point can be made in its /{ABOVE_HOME}: {error}"))?;
    // In a user namespace the runtime makes it with the rights of the container's root.
    let stat = fstat(&above).map_err(|error| format!("its /{ABOVE_HOME} cannot be looked at: {error}"))?;
    match mapped_root(config) {
        Some(user) if user != u64::from(stat.st_uid) => Err(format!(
            "its root is user {user} of the host, who can make no mount point in its /{ABOVE_HOME}, which is user {}'s",
            stat.st_uid
        )),
        _ => Ok(None),
    }
}

/// The user of the host that is root in the container, where it has a user namespace.
fn mapped_root(config: &Value) -> Option<u64> {
    let maps = config.pointer("/linux/uidMappings")?.as_array()?;
    maps.iter().find(|map| map.get("containerID").and_then(Value::as_u64) == Some(0))?.get("hostID")?.as_u64()
}

/// A file of the host that is mounted has to be reached with the rights of the container's root.
fn reached(path: &Path, config: &Value) -> Result<(), String> {
    if mapped_root(config).unwrap_or(0) == 0 {
        return Ok(());
    }
    for (part, needed, what) in [(path, 0o4, "readable")]
        .into_iter()
        .chain(path.ancestors().skip(1).map(|folder| (folder, 0o1, "searchable")))
    {
        let mode = stat(part).map_err(|error| format!("{}: {error}", part.display()))?.st_mode;
        if mode & needed == 0 {
            return Err(format!(
                "its root is another user of the host, and {} is not {what} by everybody",
                part.display()
            ));
        }
    }
    Ok(())
}

/// The first mount of the config that lies over a path, or within it.
fn covered<'a>(config: &'a Value, path: &str) -> Option<&'a str> {
    let parts = |path: &str| -> Vec<String> {
        let mut out = Vec::new();
        for part in Path::new(path).components() {
            match part {
                Component::Normal(name) => out.push(name.to_string_lossy().into_owned()),
                Component::ParentDir => drop(out.pop()),
                _ => {}
            }
        }
        out
    };
    let wanted = parts(path);
    let mounts = config.get("mounts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    mounts.iter().filter_map(|mount| mount.get("destination")?.as_str()).find(|destination| {
        let there = parts(destination);
        there.iter().zip(&wanted).all(|(a, b)| a == b)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_has_one_preload_and_keeps_the_rest_in_order() {
        let before: Vec<String> =
            ["A=1", "LD_PRELOAD=/x.so", "B=2", "LD_PRELOAD=/y.so"].map(str::to_owned).into();
        assert_eq!(value_of(&before, PRELOAD).as_deref(), Some("/y.so"));
        let more = ["A=9".to_owned(), "C=3".to_owned()];
        assert_eq!(with(before, "/l.so:/y.so", &more), ["A=1", "B=2", "C=3", "LD_PRELOAD=/l.so:/y.so"]);
    }

    #[test]
    fn mounts_over_the_folder_and_in_it_are_seen() {
        let config = |destination: &str| json!({ "mounts": [{ "destination": "/proc" }, { "destination": destination }] });
        for over in ["/", "/usr", "/usr/lib/", "usr/lib", "/usr/lib/evercall/lib", "/opt/../usr"] {
            assert_eq!(covered(&config(over), HOME), Some(over));
        }
        for beside in ["/usr/local", "/usr/lib/evercallx", "/usr/libx"] {
            assert_eq!(covered(&config(beside), HOME), None, "{beside}");
        }
    }
}

//! `evercall simulate`: becomes a program under seccomp filters that refuse what another host would refuse.

pub mod calls;
pub mod containers;
pub mod errno;
pub mod host;
pub mod layer;

use crate::exec::{self, Refused};
use crate::failure::Failure;
use crate::launch;
use crate::options::SimulateOptions;
use layer::Layer;
use std::fs;
use std::io;
use std::path::Path;

/// Carries out `evercall simulate`: comes back only with an error.
pub fn simulate(options: &SimulateOptions) -> Result<(), Failure> {
    let layers = layer::in_order(layers(options)?)?;
    let SimulateOptions { kernel, deny, seccomp, profile, .. } = options;
    if kernel.is_none() && deny.is_empty() && seccomp.is_none() && profile.is_none() {
        log::warn!(
            "no option says how the other host differs from this one: the program runs as it would anyhow"
        );
    }
    for layer in &layers {
        log::debug!("{layer}");
    }
    let filters = layers.iter().map(Layer::compile).collect::<Result<Vec<_>, _>>()?;
    Err(launch::launch(&options.command, |candidate| {
        // A candidate of PATH that cannot be run is told before the filters are in place, which stay.
        if let Err(error) = can_run(candidate) {
            return Ok(error);
        }
        if let Some(layer) = layers.iter().find(|layer| layer.refuses(libc::SYS_execve)) {
            return Err(Failure::cannot_run(format!(
                "{} cannot be run there: {} refuses execve, by which every program is started",
                candidate.display(),
                layer.origin
            )));
        }
        match exec::exec_filtered(candidate, &options.command, &filters) {
            Refused::Exec(error) => Err(launch::refused(candidate.as_os_str(), candidate, &error)),
            Refused::Filter(error) => Err(cannot_filter(&error)),
        }
    }))
}

/// A layer or two an option, the more general option first: of equally strict answers the last one's counts.
fn layers(options: &SimulateOptions) -> Result<Vec<Layer>, Failure> {
    let mut layers = Vec::new();
    if let Some(version) = options.kernel {
        layers.extend(calls::kernel(version));
    }
    if let Some(file) = &options.seccomp {
        let kernel = options.kernel.or_else(calls::running);
        layers.extend(containers::read(file, &options.cap, kernel)?);
    }
    if let Some(file) = &options.profile {
        layers.extend(host::read(file)?);
    }
    layers.extend(calls::deny(&options.deny));
    Ok(layers)
}

/// Whether execve can be expected to work, short of trying it.
fn can_run(file: &Path) -> Result<(), io::Error> {
    if !file.metadata()?.is_file() || !exec::may_execute(file) {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    Ok(())
}

fn cannot_filter(error: &io::Error) -> Failure {
    Failure::new(match error.raw_os_error() {
        Some(libc::EINVAL) => {
            "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER), by which a host is simulated"
                .to_string()
        }
        Some(libc::ENOMEM) => {
            "the filters of the process and its parents are more than the kernel takes".to_string()
        }
        _ => format!(
            "a seccomp filter cannot be installed ({error}); a filter over this process may forbid it"
        ),
    })
}

/// The text of a file that an option names.
fn text(option: &str, file: &Path) -> Result<String, Failure> {
    let cannot = |why: String| Failure::new(format!("{option}: {} cannot be read: {why}", file.display()));
    let bytes = fs::read(file).map_err(|error| cannot(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| cannot("it is no UTF-8 text".to_string()))
}

/// What is wrong in such a file.
fn wrong(option: &str, file: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(format!("{option}: {}: {why}", file.display()))
}

//! `evercall generate`: man pages and shell completions, from the one definition of the options, and what else
//! `make` installs or ships.

use crate::base_image;
use crate::conf_manual;
use crate::failure::Failure;
use crate::libraries;
use crate::manual;
use crate::options::{Generate, GenerateOptions, Options};
use crate::output;
use clap::CommandFactory as _;
use std::fs;
use std::path::Path;

/// Carries out `evercall generate`.
pub fn generate(options: &GenerateOptions) -> Result<(), Failure> {
    match &options.what {
        Generate::Man { dir } => man(dir),
        Generate::Completions { dir } => completions(dir),
        Generate::Libraries { library, dir } => {
            let library = fs::read(library)
                .map_err(|error| Failure::new(format!("{} cannot be read: {error}", library.display())))?;
            libraries::write(&library, dir)
        }
        Generate::Image(options) => base_image::make(options),
        Generate::Conf { file } => output::write_file(file, &conf_manual::example()),
    }
}

fn man(dir: &Path) -> Result<(), Failure> {
    make(dir)?;
    let mut command = Options::command();
    command.build();
    for (name, sections) in [
        ("evercall", manual::EVERCALL),
        ("evercall-run", manual::RUN),
        ("evercall-simulate", manual::SIMULATE),
        ("evercall-probe", manual::PROBE),
        ("evercall-rules", manual::RULES),
        ("evercall-check", manual::CHECK),
        ("evercall-log", manual::LOG),
        ("evercall-hook", manual::HOOK),
        ("evercall-cdi", manual::CDI),
        ("evercall-layer", manual::LAYER),
    ] {
        let command = match name.strip_prefix("evercall-") {
            Some(sub) => command.find_subcommand(sub).cloned(),
            None => Some(command.clone()),
        };
        let command = command.ok_or_else(|| Failure::new(format!("there is no command {name}")))?;
        let file = dir.join(format!("{name}.1"));
        let mut page = Vec::new();
        manual::page(&command.name(name), sections, &mut page)
            .and_then(|()| fs::write(&file, page))
            .map_err(|error| Failure::new(format!("cannot write {}: {error}", file.display())))?;
        log::debug!("wrote {}", file.display());
    }
    output::write_file(&dir.join("evercall.conf.5"), &conf_manual::page())
}

fn completions(dir: &Path) -> Result<(), Failure> {
    make(dir)?;
    for shell in Generate::SHELLS {
        let file = clap_complete::generate_to(shell, &mut Options::command(), "evercall", dir)
            .map_err(|error| Failure::new(format!("cannot write into {}: {error}", dir.display())))?;
        log::debug!("wrote {}", file.display());
    }
    Ok(())
}

fn make(dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir)
        .map_err(|error| Failure::new(format!("cannot make the folder {}: {error}", dir.display())))
}

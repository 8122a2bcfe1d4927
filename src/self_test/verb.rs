//! `evercall self-test`: the test by itself, on an image or a root filesystem in a directory.

use super::options::SelfTestOptions;
use super::report::Verdict;
use super::{AddedFile, Plan, Report};
use crate::failure::Failure;
use crate::image::root::Root;
use crate::image::{Image, Limits};
use crate::library::Library;
use crate::output;
use crate::static_copy;
use indicatif::{ProgressBar, ProgressStyle};
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;

/// Where the library is in the image.
use crate::libraries::PLAIN_PRELOAD as LIBRARY;

/// Carries out `evercall self-test`.
pub fn self_test(options: &SelfTestOptions) -> Result<(), Failure> {
    let library = Library::find(options.lib.as_deref())?;
    let content = fs::read(&library.path)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", library.path.display())))?;
    let limits = Limits::default();
    let progress = bar();
    let directory = options.image.is_dir() && !Image::is_layout(&options.image);
    let image = match directory {
        true => None,
        false => Some(Image::open(&options.image, &limits, &progress)?),
    };
    let (root, before, command) = match &image {
        None => (Root::Directory(&options.image), Vec::new(), Vec::new()),
        Some(image) => {
            let variant = image
                .variants
                .iter()
                .find(|variant| variant.platform.os == "linux" && variant.platform.architecture == "amd64")
                .ok_or_else(|| Failure::new(format!("{} holds no image for linux/amd64", image.name)))?;
            let execution = variant.config.config.clone().unwrap_or_default();
            let words = [execution.entrypoint, execution.cmd].into_iter().flatten().flatten();
            let command: Vec<OsString> = words.map(OsString::from).collect();
            let variables = execution.env.unwrap_or_default();
            let variables = variables.iter().filter_map(|variable| variable.split_once('='));
            let before = variables.map(|(name, value)| (name.into(), value.into())).collect();
            (variant.root(image), before, command)
        }
    };
    let mut plan = Plan {
        root,
        limits: &limits,
        added: vec![AddedFile { path: LIBRARY.into(), mode: 0o755, content: Cow::Owned(content) }],
        environment: before.clone(),
        before,
        command,
        static_copies: Vec::new(),
        seconds: options.seconds,
        memory: options.memory.saturating_mul(1 << 20),
    };
    if options.preload_file {
        let content = format!("{LIBRARY}\n").into_bytes();
        plan.added.push(AddedFile {
            path: "/etc/ld.so.preload".into(),
            mode: 0o644,
            content: Cow::Owned(content),
        });
    } else {
        let here = Library { path: PathBuf::from(LIBRARY), ..library };
        let known = plan.environment.iter().find(|(name, _)| name == "LD_PRELOAD");
        let preload = here.preload(known.map(|(_, value)| value.clone()));
        plan.environment.retain(|(name, _)| name != "LD_PRELOAD");
        plan.environment.push(("LD_PRELOAD".into(), preload));
    }
    let mut text = String::new();
    if let Some(glob) = &options.statics {
        let found = static_copy::find(root, &limits, &progress, glob.as_deref(), OsStr::new(LIBRARY))?;
        for copy in found.copies {
            text.push_str(&format!("static   {copy}\n"));
            plan.static_copies.push(copy.path.clone());
            plan.added.push(AddedFile {
                path: copy.path,
                mode: copy.mode,
                content: Cow::Owned(copy.content),
            });
        }
        for refused in found.refused {
            text.push_str(&format!("static   {refused}\n"));
        }
    }
    let report = super::run(&plan, &progress);
    progress.finish_and_clear();
    let report = report?;
    for tried in &report.tried {
        log::debug!("{} printed with the layer:\n{}", tried.words(), tried.output);
    }
    text.push_str(&lines(&report));
    output::print(&text)?;
    match report.verdict {
        Verdict::Passed => Ok(()),
        Verdict::Failed(why) | Verdict::NotTested(why) => {
            let mut failure = Failure::new(why);
            failure.status = Failure::FINDINGS;
            Err(failure)
        }
    }
}

fn lines(report: &Report) -> String {
    let mut text = String::new();
    for tried in &report.tried {
        let word = if tried.fault.is_some() { "FAILED" } else { "passed" };
        text.push_str(&format!("{word}   {tried}\n"));
    }
    for note in &report.notes {
        text.push_str(&format!("note     {note}\n"));
    }
    if let Some(sandbox) = report.sandbox {
        text.push_str(&format!("sandbox  {sandbox}\n"));
    }
    text
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{bytes} read").unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    bar
}

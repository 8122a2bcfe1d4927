//! `evercall probe`: what this host answers, under the seccomp filters that stand here.

mod ask;
mod document;
mod facts;
mod judge;
mod live;
mod people;
mod sys;

use crate::failure::Failure;
use crate::options::{ProbeFormat, ProbeOptions};
use crate::output;
use crate::simulate::calls::Version;
use ask::Survey;
use facts::Facts;
use judge::{Context, Judged};
use live::{Live, Repair};

/// Carries out `evercall probe`.
pub fn probe(options: &ProbeOptions) -> Result<(), Failure> {
    let text = match options.format {
        ProbeFormat::Json => profile()?,
        ProbeFormat::Table => {
            let (judged, live, repair, facts) = look()?;
            let width = if options.output.is_some() { None } else { output::terminal_width() };
            people::text(&judged, &live, &repair, &facts, options.all, width)
        }
    };
    match &options.output {
        Some(file) => output::write_file(file, &text),
        None => output::print(&text),
    }
}

/// The profile of this host, as docs/host-profile.md has it.
pub fn profile() -> Result<String, Failure> {
    let (judged, live, repair, facts) = look()?;
    document::document(&judged, &live, &repair, &facts)
}

fn look() -> Result<(Vec<Judged>, Vec<Live>, Repair, Facts), Failure> {
    let survey = Survey::take()?;
    let facts = Facts::look(&survey);
    let context = context(&facts);
    let judged: Vec<Judged> = survey.all().iter().map(|asked| Judged::new(asked, &context)).collect();
    let live = live::rules(&judged, &facts);
    let repair = live::repair(&judged, &facts);
    Ok((judged, live, repair, facts))
}

fn context(facts: &Facts) -> Context {
    let capabilities = facts.process.capabilities.clone().unwrap_or_default();
    // A user namespace's capabilities are not what the kernel asks for.
    let whole = facts.process.initial_user_namespace == Some(true);
    Context {
        filtered: facts.seccomp.filtered(),
        version: facts.kernel.release.as_deref().and_then(|release| Version::parse(release).ok()),
        capabilities: if whole { capabilities } else { Vec::new() },
    }
}

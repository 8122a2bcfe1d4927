//! A limit on open files that old programs drown in, and /dev/shm.

use super::{Bare, Class, Context, Door, Evidence, Finding, Form, Under, Unit, Verdict, rule};
use crate::check::used::Uses;

/// Above this evercall lowers the limit by itself.
const MOST_FILES: u64 = 1 << 20;

/// Programs that do something for each descriptor that may be open: by name, and what becomes of them.
const COUNTERS: &[(&str, Verdict, &str)] = &[
    (
        "python2",
        Verdict::Degrades,
        "subprocess with close_fds closes each descriptor that may be open: minutes a child",
    ),
    ("rpm", Verdict::Degrades, "each scriptlet closes each descriptor that may be open: installs take hours"),
    ("yum", Verdict::Degrades, "each scriptlet closes each descriptor that may be open: installs take hours"),
    ("slapd", Verdict::Breaks, "it allocates memory for each descriptor that may be open, and aborts"),
    ("mysqld", Verdict::Breaks, "it allocates memory for each descriptor that may be open"),
    ("rpcbind", Verdict::Breaks, "it allocates memory for each descriptor that may be open"),
    ("rsyslogd", Verdict::Degrades, "it closes each descriptor that may be open when it starts"),
    ("fail2ban-server", Verdict::Degrades, "it closes each descriptor that may be open when it starts"),
];

/// Functions that need /dev/shm.
const SHARED: &[&str] = &["shm_open", "sem_open"];

pub fn judge(unit: &Unit, uses: &Uses, context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let too_many = context.host.open_files.is_some_and(|files| files > MOST_FILES);
    let name = unit.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let counter = COUNTERS.iter().find(|(counter, ..)| {
        name == *counter || name.strip_prefix(counter).is_some_and(|rest| rest.starts_with(['.', '-']))
    });
    if let (true, Some((_, verdict, why)), true) = (too_many, counter, unit.form != Form::Plugin) {
        let bare = Bare { verdict: *verdict, outcome: (*why).to_string() };
        let reached = unit.form == Form::Static && context.host.takes_static() || unit.takes_preload(context);
        let under = match rule("nofile") {
            Some(rule) if reached => Under::by(rule, Door::Start),
            _ => Under::same(&bare),
        };
        findings.push(Finding {
            cause: "open_files".to_string(),
            class: Class::OpenFiles,
            title: format!("the limit on open files is above {MOST_FILES}"),
            bare,
            under,
            advice: "run it under evercall, or with --ulimit nofile=1024:524288".to_string(),
            everywhere: false,
            evidence: Evidence::file(unit.path()),
        });
    }
    let shared = SHARED.iter().find_map(|name| uses.imports.get_key_value(*name));
    if let (Some(false), Some((symbol, by))) = (context.host.dev_shm, shared) {
        let bare =
            Bare { verdict: Verdict::Breaks, outcome: format!("{symbol} fails with ENOSYS or ENOENT") };
        let shared = |rule: &evercall_rules::table::Rule| rule.symbols.contains(&symbol.as_str());
        let under = match evercall_rules::table::RULES.iter().find(|rule| shared(rule)) {
            Some(rule) if unit.takes_preload(context) => Under::by(rule, Door::Symbol),
            _ => Under::same(&bare),
        };
        findings.push(Finding {
            cause: "dev_shm".to_string(),
            class: Class::SharedMemory,
            title: "the host has no /dev/shm, which shm_open and sem_open need".to_string(),
            bare,
            under,
            advice: "run it under evercall, or mount a tmpfs at /dev/shm (--shm-size)".to_string(),
            everywhere: false,
            evidence: Evidence {
                symbol: Some(symbol.clone()),
                ..Evidence::file(&context.objects.get(*by).path)
            },
        });
    }
    findings
}

//! `programs.list`: what is run, and what the right answer is.

use std::collections::BTreeMap;

/// A line of the list for one libc: a row of the table.
#[derive(Debug, PartialEq)]
pub struct Case {
    /// The file in `test-programs/build/`.
    pub file: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How evercall gets into it: `preload`, `force`, `vsyscall` or `run`.
    pub by: String,
    /// What it must do bare: `right`, `wrong`, `any`, or the name of a signal.
    pub bare: String,
    /// What it must answer under evercall; none: as bare.
    pub answer: Option<Answer>,
}

/// How a program is to end, and its standard output.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// As `Run::status` writes it.
    pub status: String,
    /// With `{fact}` and `*` in it.
    pub output: String,
}

impl Case {
    /// The row's name in the table.
    pub fn name(&self) -> String {
        let by = if self.by == "preload" { String::new() } else { format!("{}: ", self.by) };
        format!("{by}{} {}", self.file, self.arguments.join(" ")).trim_end().to_owned()
    }

    /// The program in the guest, with its arguments.
    pub fn command(&self) -> Vec<String> {
        [format!("/t/{}", self.file)].into_iter().chain(self.arguments.iter().cloned()).collect()
    }

    /// The whole command that starts it under evercall.
    pub fn under_evercall(&self) -> Vec<String> {
        let words = if self.by == "run" { &["/evercall/evercall", "run", "--"][..] } else { &[] };
        words.iter().map(|&word| word.to_owned()).chain(self.command()).collect()
    }
}

/// Reads the list.
pub fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = |what: &str| format!("programs.list:{}: {what}", number + 1);
        let columns: Vec<&str> = line.splitn(5, '|').map(str::trim).collect();
        let [program, libcs, by, bare, answer] = columns[..] else {
            return Err(fault("five columns are due"));
        };
        let mut words = program.split_whitespace().map(str::to_owned);
        let name = words.next().ok_or_else(|| fault("no program"))?;
        let arguments: Vec<String> = words.collect();
        if !["preload", "force", "vsyscall", "run"].contains(&by) {
            return Err(fault("by is preload, force, vsyscall or run"));
        }
        if !(["right", "wrong", "any"].contains(&bare) || bare.starts_with("SIG")) {
            return Err(fault("bare is right, wrong, any, or a signal"));
        }
        for libc in libcs.split_whitespace() {
            let file = match libc {
                "dynamic" => name.clone(),
                "musl" | "static" | "static-pie" | "i386" | "diet" => format!("{name}.{libc}"),
                _ => return Err(fault("an unknown libc")),
            };
            let (by, bare) = (by.to_owned(), bare.to_owned());
            let answer = Answer::parse(answer).map_err(|what| fault(&what))?;
            cases.push(Case { file, arguments: arguments.clone(), by, bare, answer });
        }
    }
    Ok(cases)
}

impl Answer {
    fn parse(text: &str) -> Result<Option<Answer>, String> {
        if text == "=" {
            return Ok(None);
        }
        let (status, output) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or("[ without ]")?,
            None => ("exit 0", text),
        };
        Ok(Some(Answer { status: status.to_owned(), output: output.trim().replace("\\n", "\n") }))
    }

    /// Whether a program that ended so and printed that gave this answer.
    pub fn is_given_by(&self, status: &str, output: &str, facts: &BTreeMap<String, String>) -> bool {
        let mut wanted = self.output.clone();
        for (name, value) in facts {
            wanted = wanted.replace(&format!("{{{name}}}"), value);
        }
        status == self.status && matches(&blanks_as_one(&wanted), &blanks_as_one(output))
    }
}

fn blanks_as_one(text: &str) -> String {
    let lines: Vec<String> =
        text.trim().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.join("\n")
}

/// Whether a text is like a pattern in which `*` is anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| matches(after, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line for two libcs makes two rows, with all that the line says.
    #[test]
    fn a_line_makes_a_row_for_each_libc() {
        let list = "# a comment\n\nold now | dynamic musl | run | SIGSEGV | [exit 3] a\\nb | c\n";
        let cases = parse(list).unwrap();
        assert_eq!(cases.len(), 2);
        assert_eq!(cases[1].name(), "run: old.musl now");
        assert_eq!(cases[1].bare, "SIGSEGV");
        assert_eq!(cases[0].under_evercall().join(" "), "/evercall/evercall run -- /t/old now");
        let answer = cases[0].answer.as_ref().unwrap();
        assert_eq!((answer.status.as_str(), answer.output.as_str()), ("exit 3", "a\nb | c"));
    }

    /// A line that cannot be meant names itself, and is not left out.
    #[test]
    fn a_line_that_makes_no_sense_is_refused() {
        for line in [
            "old | dynamic | preload | any",
            "old | uclibc | preload | any | x",
            "old | dynamic | hope | any | x",
            "old | dynamic | preload | perhaps | x",
            "old | dynamic | preload | any | [exit 3 x",
            " | dynamic | preload | any | x",
        ] {
            let refused = parse(&format!("#\n{line}")).expect_err(line);
            assert!(refused.starts_with("programs.list:2: "), "{refused}");
        }
    }

    /// Facts are filled in, blanks do not count, a wrong number, another ending or another line does.
    #[test]
    fn an_answer_is_told_from_a_wrong_one() {
        let facts = BTreeMap::from([("modules".to_owned(), "2".to_owned())]);
        let answer = Answer::parse("{modules} loaded, *ago\\nend").unwrap().unwrap();
        let given = |status, output| answer.is_given_by(status, output, &facts);
        assert!(given("exit 0", "2   loaded, 5 s ago\nend\n"));
        assert!(!given("exit 0", "3 loaded, 5 s ago\nend\n"));
        assert!(!given("exit 1", "2 loaded, 5 s ago\nend\n"));
        assert!(!given("SIGSEGV", "2 loaded, 5 s ago\nend\n"));
        assert!(!given("exit 0", "2 loaded, 5 s ago\nend\nmore\n"));
        assert!(!given("exit 0", ""));
    }
}

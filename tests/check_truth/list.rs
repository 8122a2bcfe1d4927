//! `programs.list`: what is run, where, and what right means.

/// A line of the list for one image and one form of the program.
#[derive(Debug, PartialEq)]
pub struct Case {
    /// The image's name.
    pub image: String,
    /// The program's path in the image, and its arguments.
    pub command: Vec<String>,
    /// Other programs and plugins that it runs or loads, by their paths.
    pub also: Vec<String>,
    /// What it prints, with `*` for anything; none: as on this host.
    pub right: Option<String>,
}

impl Case {
    /// For people: the whole command, cut.
    pub fn name(&self) -> String {
        let words = self.command.join(" ").replace('\n', "; ");
        let cut: String = words.chars().take(60).collect();
        format!("{}: {cut}", self.image)
    }

    /// The files that the verdict is of.
    pub fn files(&self) -> Vec<&str> {
        [&self.command[0]].into_iter().chain(&self.also).map(String::as_str).collect()
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
        let columns: Vec<&str> = line.splitn(4, " | ").map(str::trim).collect();
        let [images, also, right, command] = columns[..] else { return Err(fault("four columns are due")) };
        let words = words(command).ok_or_else(|| fault("a quote without its end"))?;
        let (program, arguments) = words.split_first().ok_or_else(|| fault("no program"))?;
        let also: Vec<String> =
            also.split_whitespace().filter(|word| *word != "-").map(str::to_owned).collect();
        let right = (right != "=").then(|| right.replace("\\n", "\n"));
        for image in images.split_whitespace() {
            for program in forms(program) {
                let command = [&[program], arguments].concat();
                cases.push(Case {
                    image: image.to_owned(),
                    command,
                    also: also.clone(),
                    right: right.clone(),
                });
            }
        }
    }
    Ok(cases)
}

/// `/t/a{,.musl}`: `/t/a` and `/t/a.musl`.
fn forms(program: &str) -> Vec<String> {
    let parts = || {
        let (before, rest) = program.split_once('{')?;
        let (forms, after) = rest.split_once('}')?;
        Some(forms.split(',').map(|form| format!("{before}{form}{after}")).collect())
    };
    parts().unwrap_or_else(|| vec![program.to_owned()])
}

/// Words as a shell divides them, with single quotes alone; `\n` within them is a new line.
fn words(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    for (at, part) in command.split('\'').enumerate() {
        if at % 2 == 1 {
            word.get_or_insert_default().push_str(&part.replace("\\n", "\n"));
            continue;
        }
        for c in part.chars() {
            match c {
                ' ' => words.extend(word.take()),
                c => word.get_or_insert_default().push(c),
            }
        }
    }
    words.extend(word);
    (command.matches('\'').count() % 2 == 0).then_some(words)
}

/// Whether a text is like a pattern in which `*` is anything. Blanks around both do not count.
pub fn is_like(pattern: &str, text: &str) -> bool {
    fn like(pattern: &str, text: &str) -> bool {
        match pattern.split_once('*') {
            None => pattern == text,
            Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
                rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| like(after, &rest[at..]))
            }),
        }
    }
    like(pattern.trim(), text.trim())
}

#[test]
fn a_line_makes_a_case_for_each_image_and_form() {
    let cases = parse("# no\na b | /x | one*\\ntwo | /t/p{,.musl} -c 'print 1\\nend'\n").unwrap();
    assert_eq!(cases.len(), 4);
    assert_eq!(cases[3].image, "b");
    assert_eq!(cases[3].command, ["/t/p.musl", "-c", "print 1\nend"]);
    assert_eq!(cases[3].files(), ["/t/p.musl", "/x"]);
    assert!(is_like(cases[3].right.as_deref().unwrap(), "one 1\ntwo\n"));
    assert!(!is_like(cases[3].right.as_deref().unwrap(), "one\n"));
    for line in ["a | - | =", "a | - | = | p 'x", "a | - | = | "] {
        assert!(parse(line).is_err_and(|why| why.starts_with("programs.list:1: ")), "{line}");
    }
}

//! Sections of the configuration file: which program a line `[name]` or `[/path/*]` is about.

/// The last component of a path.
pub fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|&b| b == b'/').next().unwrap_or(path)
}

/// Whether a section `[pattern]` is about this program: its name, or with a slash its path.
pub fn is_meant(pattern: &[u8], path: &[u8]) -> bool {
    let whole = pattern.contains(&b'/');
    fits(pattern, if whole { path } else { name(path) })
}

/// A shell's pattern: `*` stands for any text without a slash, `?` for one character that is none.
fn fits(mut pattern: &[u8], mut text: &[u8]) -> bool {
    // Where the last star stands, and what it has not taken yet: on a difference it takes one more.
    let mut star = None;
    loop {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => return true,
            (Some((b'*', rest)), _) => {
                star = Some((rest, text));
                pattern = rest;
                continue;
            }
            (Some((&wanted, rest)), Some((&byte, behind)))
                if wanted == byte || (wanted == b'?' && byte != b'/') =>
            {
                (pattern, text) = (rest, behind);
                continue;
            }
            _ => {}
        }
        match star {
            Some((rest, left)) => match left.split_first() {
                Some((&byte, behind)) if byte != b'/' => {
                    star = Some((rest, behind));
                    (pattern, text) = (rest, behind);
                }
                _ => return false,
            },
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_meant;

    #[test]
    fn sections_name_programs() {
        for (pattern, path, due) in [
            ("java", "/usr/bin/java", true),
            ("java", "java", true),
            ("java", "/usr/bin/javac", false),
            ("java*", "/usr/bin/javac", true),
            ("python2.?", "/usr/bin/python2.7", true),
            ("python2.?", "/usr/bin/python2.", false),
            ("/opt/*/bin/java", "/opt/jdk8/bin/java", true),
            ("/opt/*/bin/java", "/opt/a/b/bin/java", false),
            ("/opt/*", "/opt/tool", true),
            ("/opt/*", "/opt/tool/bin", false),
            ("*a*b", "xaybzb", true),
            ("*a*b", "xaybz", false),
            ("*", "", true),
            ("", "", true),
            ("?", "", false),
        ] {
            assert_eq!(is_meant(pattern.as_bytes(), path.as_bytes()), due, "{pattern} {path}");
        }
    }
}

//! Patterns of options: `*` and `?`, over slashes too. Those of sections of evercall.conf stop at a slash
//! (`evercall_rules::section`).

/// A pattern in which `*` is any text and `?` one character. At most length times length steps.
pub fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    // Behind the last star, and where in the text its next try begins.
    let mut star = None;
    loop {
        match (pattern.get(at), text.get(from)) {
            (Some('*'), _) => {
                at += 1;
                star = Some((at, from));
            }
            (Some(wanted), Some(found)) if *wanted == '?' || wanted == found => {
                at += 1;
                from += 1;
            }
            (None, None) => return true,
            _ => match star {
                Some((behind, tried)) if tried < text.len() => {
                    star = Some((behind, tried + 1));
                    (at, from) = (behind, tried + 1);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        for (pattern, text, due) in [
            ("", "", true),
            ("*", "", true),
            ("docker.io/*/redis:*", "docker.io/a/b/redis:7", true),
            ("docker.io/*/redis:*", "docker.io/redis:7", false),
            ("redis", "redis-server", false),
            ("redis*", "redis", true),
            ("r?dis", "redis", true),
            ("r?dis", "rdis", false),
            ("*a*a*a*b", &"a".repeat(200), false),
            ("*", "/bin/a", true),
            ("/bin/*", "/bin/a/b", true),
            ("/bin/?", "/bin/a", true),
            ("/bin/?", "/bin/ab", false),
            ("*box", "/bin/busybox", true),
            ("*bo", "/bin/busybox", false),
            ("/bin/a", "/bin/a", true),
            ("", "/bin/a", false),
        ] {
            assert_eq!(fits(pattern, text), due, "{pattern} {text}");
        }
    }
}

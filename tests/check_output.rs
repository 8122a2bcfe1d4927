//! The forms of `evercall check`: SARIF, HTML, the table; and names that want to be something else.

mod common;

use common::{bare, command, program, text};
use serde_json::Value;
use std::fs;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Names that are markup, a terminal's commands, or no UTF-8.
const HOSTILE: [&[u8]; 4] = [
    b"</script><script>document.title='owned'</script>",
    b"a\x1b[31mred\x07",
    b"<img src=x onerror=alert(1)>\"'",
    b"no\xffutf8",
];

/// A root with programs of hostile names that all break.
fn hostile_root() -> TempDir {
    use std::os::unix::ffi::OsStrExt as _;
    let root = TempDir::new().unwrap();
    fs::create_dir(root.path().join("bin")).unwrap();
    for name in HOSTILE {
        // A slash divides, in a name too.
        let path = root.path().join("bin").join(std::ffi::OsStr::from_bytes(name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(program("vsyscall.static"), path).unwrap();
    }
    root
}

fn check(root: &TempDir, format: &str) -> Output {
    let mut check = bare(command());
    check.args(["check", "--kernel", "6.12", "--files", "--format", format]).arg(root.path());
    let output = check.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    output
}

#[test]
fn a_table_holds_no_command_for_a_terminal() {
    let table = text(&check(&hostile_root(), "table").stdout);
    assert!(table.contains("red"), "{table}");
    let commands: Vec<char> = table.chars().filter(|c| c.is_control() && *c != '\n').collect();
    assert!(commands.is_empty(), "{commands:?}");
}

#[test]
fn sarif_has_what_code_scanning_asks_for() {
    let document: Value = serde_json::from_slice(&check(&hostile_root(), "sarif").stdout).unwrap();
    assert_eq!(document["version"], "2.1.0");
    assert!(document["$schema"].as_str().unwrap().contains("sarif-2.1.0"));
    let run = &document["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert!(!rules.is_empty() && !results.is_empty());
    for rule in rules {
        for text in ["shortDescription", "fullDescription", "help"] {
            let text = rule[text]["text"].as_str().unwrap();
            assert!(!text.is_empty() && text.len() <= 1024, "{rule}");
        }
    }
    for result in results {
        let at = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[at]["id"], result["ruleId"]);
        assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        assert!(result["partialFingerprints"].as_object().is_some_and(|prints| !prints.is_empty()));
        let locations = result["locations"].as_array().unwrap();
        assert!(!locations.is_empty() && locations.len() <= 10);
        for location in locations {
            let place = &location["physicalLocation"];
            let uri = place["artifactLocation"]["uri"].as_str().unwrap();
            let may = |c: char| c.is_ascii_alphanumeric() || "-._~/+@%".contains(c);
            assert!(!uri.starts_with('/') && uri.chars().all(may), "{uri}");
            assert_eq!(place["artifactLocation"]["uriBaseId"], "ROOT");
            assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
        }
    }
    assert!(run["originalUriBaseIds"]["ROOT"].is_object());
}

#[test]
fn a_page_shows_hostile_names_as_text() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("page.html");
    fs::write(&file, check(&hostile_root(), "html").stdout).unwrap();
    let page = fs::read_to_string(&file).unwrap();
    assert!(!page.contains("<script") && !page.contains("<img"), "markup of a name");
    // Nothing is asked of a network.
    assert!(
        !page.contains("http://")
            && !page.contains("https://")
            && !page.contains("href=")
            && !page.contains("url("),
        "a reference"
    );
    let browser = |options: &[&str]| {
        let mut chromium = Command::new("chromium");
        chromium.args(["--headless", "--no-sandbox", "--disable-gpu"]);
        chromium.arg(format!("--user-data-dir={}", folder.path().join("browser").display()));
        chromium.args(options).arg(&file).output()
    };
    let Ok(dom) = browser(&["--dump-dom", "--window-size=390,800"]) else { skip!("no chromium here") };
    let dom = text(&dom.stdout);
    assert!(dom.contains("with evercall") && dom.contains("</html>"), "{dom}");
    assert!(!dom.contains("<script") && !dom.contains("<img") && !dom.contains("<title>owned"), "{dom}");
    // A phone's width: a page that measures itself, since this one runs no script.
    let probe = page.replace("<meta http-equiv=\"Content-Security-Policy\"", "<meta name=\"none\"").replace(
        "</body>",
        "<script>document.documentElement.setAttribute('data-wide', document.documentElement.scrollWidth > innerWidth)</script></body>",
    );
    fs::write(&file, probe).unwrap();
    let measured = text(&browser(&["--dump-dom", "--window-size=500,800"]).unwrap().stdout);
    assert!(measured.contains("data-wide=\"false\""), "it scrolls to the side");
}

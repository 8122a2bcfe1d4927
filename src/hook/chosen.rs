//! Which containers a hook is about: annotations, the deny list.

use crate::glob::fits;
use serde_json::Value;

/// The annotation that asks for evercall (`true`), or for none (`false`).
pub const ANNOTATION: &str = "org.evercall.inject";

/// Annotations by which engines tell the name of the image: containerd's CRI, CRI-O (both of its), OCI image layouts.
const IMAGE_NAMES: [&str; 4] = [
    "io.kubernetes.cri.image-name",
    "io.kubernetes.cri-o.ImageName",
    "io.kubernetes.cri-o.Image",
    "org.opencontainers.image.ref.name",
];

/// Annotations by which containerd and CRI-O mark a pod's sandbox, the container that only holds its namespaces.
const SANDBOX: [&str; 2] = ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"];

/// An entry of the deny list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The image's name, as the engine annotates it.
    Image(String),
    /// The container's program: its path, or its name if the pattern has no slash.
    Command(String),
    /// An annotation's key, and a pattern of its value.
    Annotation(String, String),
}

impl Denied {
    /// Reads `image=PATTERN`, `command=PATTERN` or `annotation=KEY=PATTERN`.
    pub fn parse(text: &str) -> Result<Denied, String> {
        let wrong = || "write image=PATTERN, command=PATTERN or annotation=KEY=PATTERN".to_owned();
        let (kind, rest) = text.split_once('=').filter(|(_, rest)| !rest.is_empty()).ok_or_else(wrong)?;
        match kind {
            "image" => Ok(Denied::Image(rest.into())),
            "command" => Ok(Denied::Command(rest.into())),
            "annotation" => match rest.split_once('=') {
                Some((key, pattern)) if !key.is_empty() => Ok(Denied::Annotation(key.into(), pattern.into())),
                _ => Err(wrong()),
            },
            _ => Err(wrong()),
        }
    }
}

/// What is known of a container before its files are looked at.
pub struct Asked<'a> {
    /// The object of annotations, if there is one.
    pub annotations: Option<&'a Value>,
    /// `process.args[0]`.
    pub command: Option<&'a str>,
}

impl Asked<'_> {
    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations?.get(key)?.as_str()
    }

    /// Whether the container gets evercall: nothing, or why it is not meant to. An error is a doubt.
    pub fn is_left(&self, all: bool, deny: &[Denied]) -> Result<Option<String>, String> {
        if let Some(key) = SANDBOX.into_iter().find(|key| self.annotation(key) == Some("sandbox")) {
            return Ok(Some(format!("it is a pod's sandbox ({key})")));
        }
        let wish = self.annotation(ANNOTATION);
        if wish == Some("false") {
            return Ok(Some(format!("{ANNOTATION}=false")));
        }
        if wish.is_none() && !all {
            return Ok(Some(format!("it has no annotation {ANNOTATION}=true")));
        }
        for denied in deny {
            let (what, fits) = match denied {
                Denied::Image(pattern) => {
                    let mut names = IMAGE_NAMES.into_iter().filter_map(|key| self.annotation(key)).peekable();
                    if names.peek().is_none() && wish.is_none() {
                        return Err(format!(
                            "no annotation names its image, which --deny image={pattern} is about"
                        ));
                    }
                    (format!("image={pattern}"), names.any(|name| fits(pattern, name)))
                }
                Denied::Command(pattern) => {
                    let command = self.command.unwrap_or_default();
                    let name = command.rsplit('/').next().unwrap_or(command);
                    let text = if pattern.contains('/') { command } else { name };
                    (format!("command={pattern}"), fits(pattern, text))
                }
                Denied::Annotation(key, pattern) => (
                    format!("annotation={key}={pattern}"),
                    self.annotation(key).is_some_and(|value| fits(pattern, value)),
                ),
            };
            if fits {
                return Ok(Some(format!("--deny {what}")));
            }
        }
        match wish {
            None | Some("true") => Ok(None),
            Some(other) => Err(format!("the annotation {ANNOTATION} is {other:?}, neither true nor false")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_annotation_decides_and_the_deny_list_comes_before_it() {
        let left = |annotations: Value, all: bool, deny: &[&str]| {
            let deny: Vec<Denied> = deny.iter().map(|text| Denied::parse(text).unwrap()).collect();
            Asked { annotations: Some(&annotations), command: Some("/usr/bin/redis-server") }
                .is_left(all, &deny)
        };
        let yes = json!({ ANNOTATION: "true" });
        assert_eq!(left(yes.clone(), false, &[]), Ok(None));
        assert_eq!(left(json!({}), true, &[]), Ok(None));
        assert!(matches!(left(json!({}), false, &[]), Ok(Some(_))));
        assert!(matches!(left(json!({ ANNOTATION: "false" }), true, &[]), Ok(Some(_))));
        assert!(left(json!({ ANNOTATION: "yes" }), true, &[]).is_err());
        assert!(left(json!({ ANNOTATION: true }), false, &[]).is_ok_and(|why| why.is_some()));
        for deny in ["command=redis*", "command=/usr/bin/*", "annotation=a/b=c*"] {
            let denied = json!({ ANNOTATION: "true", "a/b": "cd" });
            assert_eq!(left(denied, true, &[deny]), Ok(Some(format!("--deny {deny}"))));
        }
        assert_eq!(left(yes.clone(), false, &["command=postgres"]), Ok(None));
        // The name of the image is known, or not: then the wish counts, and without one it is a doubt.
        let named = json!({ "io.kubernetes.cri.image-name": "docker.io/library/redis:7" });
        assert!(matches!(left(named.clone(), true, &["image=*redis:*"]), Ok(Some(_))));
        assert_eq!(left(named, true, &["image=*postgres:*"]), Ok(None));
        assert!(left(json!({}), true, &["image=*"]).is_err());
        assert_eq!(left(yes, true, &["image=*"]), Ok(None));
        assert!(matches!(left(json!({ SANDBOX[0]: "sandbox" }), true, &[]), Ok(Some(_))));
    }

    #[test]
    fn a_wrong_entry_of_the_deny_list_is_no_entry() {
        for text in ["", "redis", "image=", "images=a", "annotation=a", "annotation==b"] {
            assert!(Denied::parse(text).is_err(), "{text}");
        }
    }
}

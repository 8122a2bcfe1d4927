//! Images that mean harm, or are damaged, given to a real command: an error that names the blob or the layer and the path,
//! exit code 1, bounded time and memory, and nothing written.

mod common;

use common::{command, shim, text};
use flate2::{Compression, write::GzEncoder};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tar::{EntryType, Header};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// What a run may have mapped at most, in KiB. Beyond, it aborts, which is no exit code of its own.
const MEMORY: u32 = 768 << 10;

/// What a run came to.
struct Outcome {
    code: Option<i32>,
    error: String,
}

/// What reads images.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verb {
    Check,
    Layer,
    Show,
}

impl Verb {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Verb::Check => &["check", "--kernel", "6.12", "--jobs", "1"],
            Verb::Layer => &["layer", "--no-self-test", "-o", "out"],
            Verb::Show => &["layer", "--show"],
        }
    }
}

fn check(image: &Path, options: &[&str]) -> Outcome {
    run(Verb::Check, image, options)
}

/// Runs a command on an image for at most a minute, in folders that must stay empty.
fn run(verb: Verb, image: &Path, options: &[&str]) -> Outcome {
    let work = tempfile::tempdir().unwrap();
    let (here, scratch) = (work.path().join("here"), work.path().join("scratch"));
    fs::create_dir(&here).unwrap();
    fs::create_dir(&scratch).unwrap();
    let errors = work.path().join("errors");
    // The peak that wait4 tells would be this test's own: exec keeps it.
    let bounded = format!("ulimit -v {MEMORY}; exec \"$@\"");
    let mut bounded_command = Command::new("timeout");
    bounded_command.args(["60", "sh", "-c", &bounded, "sh"]).arg(command());
    bounded_command.args(verb.arguments()).args(options).arg(image).env("EVERCALL_LIB", shim());
    bounded_command.current_dir(&here).env("TMPDIR", &scratch).env("MALLOC_ARENA_MAX", "1");
    bounded_command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&errors).unwrap());
    let status = bounded_command.status().unwrap();
    for folder in [here, scratch] {
        let written = fs::read_dir(&folder).unwrap().count();
        assert_eq!(written, 0, "{verb:?}: something was written to {}", folder.display());
    }
    let error = text(&fs::read(errors).unwrap());
    assert!(!error.contains("panicked") && !error.contains('\x1b'), "{verb:?}: {error}");
    Outcome { code: status.code(), error }
}

/// Both commands that read an image whole must refuse it for a reason that holds these words; `layer --show` reads the
/// layers only of an image that says it has ours, so it may also find nothing wrong.
fn refused_by_all(image: &Path, words: &[&str]) {
    for verb in [Verb::Check, Verb::Layer] {
        let outcome = run(verb, image, &[]);
        assert_eq!(outcome.code, Some(1), "{verb:?}: {words:?}: {}", outcome.error);
        for word in words {
            assert!(outcome.error.contains(word), "{verb:?}: {word}: {}", outcome.error);
        }
    }
    let outcome = run(Verb::Show, image, &[]);
    assert!(matches!(outcome.code, Some(0 | 1)), "{words:?}: {:?} {}", outcome.code, outcome.error);
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn entry(kind: EntryType, name: &[u8], link: &[u8], size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name);
    old.linkname[..link.len()].copy_from_slice(link);
    header.set_cksum();
    header
}

fn add(archive: &mut Vec<u8>, header: &Header, content: &[u8]) {
    archive.extend(header.as_bytes());
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(512), 0);
}

fn file(archive: &mut Vec<u8>, name: &str, content: &[u8]) {
    add(archive, &entry(EntryType::Regular, name.as_bytes(), b"", content.len() as u64), content);
}

/// An extended header: a long name (`L`) or pax records (`x`).
fn extended(archive: &mut Vec<u8>, kind: u8, content: &[u8]) {
    add(archive, &entry(EntryType::new(kind), b"x", b"", content.len() as u64), content);
}

fn ended(mut archive: Vec<u8>) -> Vec<u8> {
    archive.resize(archive.len() + 1024, 0);
    archive
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The blobs of an OCI layout, and the files beside them.
#[derive(Default)]
struct Layout(Vec<(String, Vec<u8>)>);

impl Layout {
    /// Adds a blob, and gives its descriptor.
    fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> serde_json::Value {
        let digest = digest(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": bytes.len()});
        self.0.push((format!("blobs/{}", digest.replace(':', "/")), bytes));
        descriptor
    }

    /// Adds config and manifest of an image of one layer, whose descriptor is given.
    fn manifest(&mut self, layer: serde_json::Value, unpacked: &str) -> serde_json::Value {
        let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [unpacked]}});
        let config = self.blob("application/vnd.oci.image.config.v1+json", config.to_string().into());
        let manifest = json!({"config": config, "layers": [layer]}).to_string();
        self.blob("application/vnd.oci.image.manifest.v1+json", manifest.into())
    }

    fn index(&mut self, index: Vec<u8>) {
        self.0.push(("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
        self.0.push(("index.json".into(), index));
    }

    fn of(layer: &[u8], packed: Vec<u8>, media_type: &str) -> Layout {
        let mut layout = Layout::default();
        let layer_descriptor = layout.blob(media_type, packed);
        let manifest = layout.manifest(layer_descriptor, &digest(layer));
        layout.index(json!({"manifests": [manifest]}).to_string().into());
        layout
    }

    fn archive(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        self.0.iter().for_each(|(name, content)| file(&mut archive, name, content));
        ended(archive)
    }

    fn write(&self, folder: &Path) {
        for (name, content) in &self.0 {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }
}

fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// An image of this layer must be refused, for a reason that holds these words.
fn refused(layer: &[u8], words: &[&str], options: &[&str]) {
    for (packed, media_type) in [(layer.to_vec(), LAYER.to_string()), (gzip(layer), format!("{LAYER}+gzip"))]
    {
        let archive = written(&Layout::of(layer, packed.clone(), &media_type).archive());
        let layer = format!("layer 1 of 1 ({})", digest(&packed));
        let words: Vec<&str> = words.iter().copied().chain([layer.as_str()]).collect();
        if options.is_empty() {
            refused_by_all(archive.path(), &words);
            continue;
        }
        // Limits can be set for `check` alone.
        let outcome = check(archive.path(), options);
        assert_eq!(outcome.code, Some(1), "{words:?}: {}", outcome.error);
        for word in words {
            assert!(outcome.error.contains(word), "{word}: {}", outcome.error);
        }
        let outcome = run(Verb::Layer, archive.path(), &[]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.error);
    }
}

/// An archive of these documents must be refused.
fn refused_archive(archive: &[u8], words: &[&str]) {
    refused_by_all(written(archive).path(), words);
}

fn sound_layer() -> Vec<u8> {
    let mut layer = Vec::new();
    file(&mut layer, "etc/a", b"content");
    add(&mut layer, &entry(EntryType::Symlink, b"round", b"round", 0), b"");
    add(&mut layer, &entry(EntryType::Symlink, b"out", b"../../../../etc/passwd", 0), b"");
    ended(layer)
}

#[test]
fn a_sound_image_is_read() {
    let layer = sound_layer();
    let archive = written(&Layout::of(&layer, gzip(&layer), &format!("{LAYER}+gzip")).archive());
    let outcome = check(archive.path(), &[]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.error);
}

#[test]
fn what_is_cut_off_anywhere_is_refused() {
    let layer = sound_layer();
    let whole = Layout::of(&layer, gzip(&layer), &format!("{LAYER}+gzip")).archive();
    // Where the last file begins; its padding may be missing.
    let last = whole.len() - 1024 - 512;
    for length in (0..=last).step_by(256).chain([last + 1, last + 99]) {
        let archive = written(&whole[..length]);
        for verb in [Verb::Check, Verb::Layer] {
            let outcome = run(verb, archive.path(), &[]);
            assert_eq!(outcome.code, Some(1), "{verb:?}: {length} bytes: {}", outcome.error);
        }
    }
}

#[test]
fn a_blob_that_is_not_what_its_digest_says_is_named() {
    let layer = sound_layer();
    let layout = Layout::of(&layer, gzip(&layer), &format!("{LAYER}+gzip"));
    for number in 0..3 {
        let mut damaged = Layout(layout.0.clone());
        let (name, bytes) = &mut damaged.0[number];
        let digest = name.trim_start_matches("blobs/").replace('/', ":");
        let last = bytes.len() - 1;
        // Of gzip the length of what is packed; of JSON the closing bracket.
        bytes[last] ^= 0x80;
        refused_archive(&damaged.archive(), &[&digest]);
        let (_, bytes) = &mut damaged.0[number];
        bytes.pop();
        refused_archive(&damaged.archive(), &[&digest]);
    }
    let mut other = Layout::default();
    let packed = gzip(&layer);
    let name = digest(&packed);
    let descriptor = other.blob(&format!("{LAYER}+gzip"), packed);
    let manifest = other.manifest(descriptor, &digest(b"other"));
    other.index(json!({"manifests": [manifest]}).to_string().into());
    refused_archive(&other.archive(), &[&name, "damaged"]);
}

#[test]
fn descriptors_that_lie_are_refused() {
    let layer = sound_layer();
    let real = digest(&layer);
    for (size, word) in
        [("1", "longer"), ("99999999", "cut off"), ("-1", "-1"), ("1e30", "u64"), ("\"1\"", "string")]
    {
        let mut layout = Layout::default();
        layout.blob(LAYER, layer.clone());
        let descriptor = format!(r#"{{"mediaType":"{LAYER}","digest":"{real}","size":1234567890123}}"#);
        let manifest = layout.manifest(serde_json::from_str(&descriptor).unwrap(), &real);
        // By text, since JSON's own types would not hold some of them.
        let (name, bytes) = layout.0.pop().unwrap();
        let bytes = text(&bytes).replace("1234567890123", size).into_bytes();
        assert_ne!(name, "index.json");
        let kind = manifest["mediaType"].as_str().unwrap().to_owned();
        let manifest = layout.blob(&kind, bytes);
        layout.index(json!({"manifests": [manifest]}).to_string().into());
        refused_archive(&layout.archive(), &["sha256:", word]);
    }
    for (media_type, word) in
        [(format!("{LAYER}+gzip+encrypted"), "encrypted"), ("text/plain".into(), "text/plain")]
    {
        refused_archive(&Layout::of(&layer, layer.clone(), &media_type).archive(), &[&real, word]);
    }
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let mut missing = Layout::of(&layer, gzip(&layer), foreign);
    missing.0.remove(0);
    refused_archive(&missing.archive(), &["missing"]);
}

#[test]
fn layers_that_want_out_or_lie_are_refused() {
    let of = |header: &Header| {
        let mut layer = Vec::new();
        file(&mut layer, "a", b"a");
        add(&mut layer, header, b"");
        ended(layer)
    };
    refused(
        &of(&entry(EntryType::Regular, b"../../etc/passwd", b"", 0)),
        &["../../etc/passwd", "leads out"],
        &[],
    );
    refused(&of(&entry(EntryType::Regular, b"a/../../b", b"", 0)), &["leads out"], &[]);
    refused(&of(&entry(EntryType::Link, b"b", b"../b", 0)), &["/b", "leads out"], &[]);
    refused(&of(&entry(EntryType::Link, b"b", b"", 0)), &["/b", "without a target"], &[]);
    refused(&of(&entry(EntryType::Regular, b".", b"", 0)), &["the root is no directory"], &[]);
    refused(&of(&entry(EntryType::Regular, b"a/b", b"", 0)), &["/a", "no directory"], &[]);
    refused(&of(&entry(EntryType::Regular, b"d/.wh...", b"", 0)), &["/d/.wh...", "whiteout"], &[]);
    refused(&of(&entry(EntryType::Regular, b"big", b"", 0o7_7777_7777_7777 >> 3)), &["cut off"], &[]);
    for size in [[0xff; 12], [0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
        let mut header = entry(EntryType::Regular, b"b", b"", 0);
        header.as_old_mut().size = size;
        header.set_cksum();
        refused(&of(&header), &["size is no number"], &[]);
    }
    let mut header = entry(EntryType::Regular, b"\x1b[31mred\x07", b"", 0);
    header.as_old_mut().mode = *b"zzzzzzzz";
    header.set_cksum();
    refused(&of(&header), &["?[31mred?", "mode"], &[]);

    let mut round = Vec::new();
    add(&mut round, &entry(EntryType::Symlink, b"a", b"/b", 0), b"");
    add(&mut round, &entry(EntryType::Symlink, b"b", b"a", 0), b"");
    file(&mut round, "a/c", b"");
    refused(&ended(round), &["/a", "circle"], &[]);
}

#[test]
fn names_that_are_too_long_or_odd_are_refused() {
    let with = |kind: u8, header: &[u8]| {
        let mut layer = Vec::new();
        extended(&mut layer, kind, header);
        file(&mut layer, "short", b"");
        ended(layer)
    };
    refused(&with(b'L', "d/".repeat(100_000).as_bytes()), &["\"d/d/", "no path"], &[]);
    refused(&with(b'L', &vec![b'x'; 2 << 20]), &["extended header of 2097152 bytes"], &[]);
    refused(&with(b'x', b"12 path=a\0b\n"), &["no path"], &[]);
    for record in
        ["999999999999999999999 path=a\n", "9 path=ab\n", "-1 path=a\n", "nothing", "16 size=-1000000\n"]
    {
        refused(&with(b'x', record.as_bytes()), &["pax header is damaged"], &[]);
    }
    let sparse = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n28 GNU.sparse.realsize=9999\n";
    refused(&with(b'x', sparse.as_bytes()), &["holes"], &[]);
}

#[test]
fn what_is_too_much_is_refused_in_little_memory() {
    let mut many = Vec::new();
    for number in 0..200_000 {
        add(&mut many, &entry(EntryType::Regular, format!("d/{number}").as_bytes(), b"", 0), b"");
    }
    refused(&ended(many), &["more than 100000 entries"], &["--max-entries", "100000"]);
    let mut deep = Vec::new();
    for number in 0..200 {
        let name = format!("{number}{}", "/a".repeat(2000));
        extended(&mut deep, b'L', name.as_bytes());
        file(&mut deep, "short", b"");
    }
    refused(&ended(deep), &["more than 100000 entries"], &["--max-entries", "100000"]);

    // A gigabyte in a megabyte, or less: one part, a thousand times over.
    let mut head = Vec::new();
    add(&mut head, &entry(EntryType::Regular, b"zeros", b"", 1 << 30), b"");
    let zeros = vec![0; 1 << 20];
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap();
    for (head, part, form) in [(gzip(&head), gzip(&zeros), "gzip"), (zstd(&head), zstd(&zeros), "zstd")] {
        let packed = [head, part.repeat(1025)].concat();
        assert!(packed.len() < 10 << 20);
        let archive = written(&Layout::of(b"", packed, &format!("{LAYER}+{form}")).archive());
        let outcome = check(archive.path(), &["--max-unpacked", "100M"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.error);
        assert!(
            outcome.error.contains("layer 1 of 1") && outcome.error.contains("unpacked"),
            "{}",
            outcome.error
        );
        // Without the bound it is read to its end, and its digest is wrong; the file is not held in memory.
        let outcome = check(archive.path(), &["--max-file", "10M"]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.error);
        assert!(outcome.error.contains("damaged"), "{}", outcome.error);
    }
}

#[test]
fn documents_that_mean_harm_are_refused() {
    let of = |index: Vec<u8>| {
        let mut layout = Layout::default();
        layout.index(index);
        layout.archive()
    };
    let wrong = "not the document";
    refused_archive(&of("[".repeat(1_000_000).into()), &["index.json", wrong]);
    refused_archive(
        &of(format!(r#"{{"manifests":[],"x":{}"#, "[".repeat(1_000_000)).into()),
        &["index.json", wrong],
    );
    refused_archive(&of(b"{}".to_vec()), &["index.json", "manifests"]);
    refused_archive(&of(br#"{"manifests":{}}"#.to_vec()), &["index.json", wrong]);
    refused_archive(&of(br#"{"manifests":[],"manifests":[]}"#.to_vec()), &["index.json", "duplicate"]);
    refused_archive(&of(b"\xff\xfe{}".to_vec()), &["index.json", wrong]);
    refused_archive(&of(vec![b' '; 5 << 20]), &["index.json", "too many"]);
    let traversal = br#"{"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:../../../etc/passwd","size":1}]}"#;
    refused_archive(&of(traversal.to_vec()), &["no digest"]);

    let descriptor = json!({"mediaType": "a/b", "digest": digest(b""), "size": 0}).to_string();
    let many = vec![descriptor; 20_000].join(",");
    refused_archive(&of(format!(r#"{{"manifests":[{many}]}}"#).into()), &["index.json", "1000"]);

    // Indexes that each lead a thousand times to the next: a tree of 10^9.
    let mut layout = Layout::default();
    let kind = "application/vnd.oci.image.index.v1+json";
    let mut next = layout.blob(kind, br#"{"manifests":[]}"#.to_vec());
    for _ in 0..3 {
        let all = vec![next.to_string(); 1000].join(",");
        next = layout.blob(kind, format!(r#"{{"manifests":[{all}]}}"#).into());
    }
    layout.index(json!({"manifests": [next]}).to_string().into());
    refused_archive(&layout.archive(), &["documents"]);

    // One large config, in a thousand images.
    let config = format!(r#"{{"history":[{}]}}"#, vec!["{}"; 1_000_000].join(","));
    let manifests = vec![json!({"Config": "c", "Layers": []}); 900];
    let mut archive = Vec::new();
    file(&mut archive, "c", config.as_bytes());
    file(&mut archive, "manifest.json", json!(manifests).to_string().as_bytes());
    refused_archive(&ended(archive), &["documents"]);
}

#[test]
fn what_is_no_file_in_a_layout_is_refused() {
    let layer = sound_layer();
    let layout = Layout::of(&layer, layer.clone(), LAYER);
    for (number, (name, _)) in layout.0.iter().enumerate() {
        for make in ["fifo", "link", "circle", "directory", "gone"] {
            let folder = tempfile::tempdir().unwrap();
            layout.write(folder.path());
            let path = folder.path().join(name);
            fs::remove_file(&path).unwrap();
            match make {
                "fifo" => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
                "link" => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
                "circle" => std::os::unix::fs::symlink(&path, &path).unwrap(),
                "directory" => fs::create_dir(&path).unwrap(),
                _ => {}
            }
            for verb in [Verb::Check, Verb::Layer, Verb::Show] {
                let outcome = run(verb, folder.path(), &[]);
                // Without its index it is a root filesystem like another; without a manifest, an index of absent
                // platforms. Of layers, `--show` reads none here.
                if number < 3 && (verb != Verb::Show || number > 0) {
                    assert_eq!(outcome.code, Some(1), "{verb:?} {name} {make}: {}", outcome.error);
                }
                let code = outcome.code;
                assert!(code.is_some_and(|code| code <= 2), "{verb:?} {name} {make}: {code:?}");
            }
        }
    }
}

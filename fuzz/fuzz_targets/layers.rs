//! Layers of entries, whiteouts and links that meet at few paths, and archives of any bytes among them.
#![no_main]

use evercall::fuzzing::{entry, layers, with_checksums};
use libfuzzer_sys::arbitrary::Arbitrary;
use libfuzzer_sys::{arbitrary, fuzz_target};

#[derive(Arbitrary, Debug)]
enum Step {
    Entry { kind: Kind, path: Vec<Part>, link: Vec<Part>, content: u8 },
    Whiteout { path: Vec<Part>, name: Part },
    Opaque { path: Vec<Part> },
    Bytes(Vec<u8>),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Kind {
    File,
    OldFile,
    Directory,
    Symlink,
    Hardlink,
    Fifo,
    Sparse,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Part {
    A,
    B,
    C,
    Dot,
    Up,
    Slash,
    Whiteout,
    Long,
    Odd(u8),
}

fn text(parts: &[Part]) -> Vec<u8> {
    let texts = parts.iter().map(|part| match part {
        Part::A => b"a".to_vec(),
        Part::B => b"b".to_vec(),
        Part::C => b"c".to_vec(),
        Part::Dot => b".".to_vec(),
        Part::Up => b"..".to_vec(),
        Part::Slash => Vec::new(),
        Part::Whiteout => b".wh.a".to_vec(),
        Part::Long => vec![b'x'; 150],
        Part::Odd(byte) => vec![*byte],
    });
    texts.collect::<Vec<_>>().join(&b'/')
}

fn archive(steps: &[Step]) -> Vec<u8> {
    let mut archive = Vec::new();
    for step in steps.iter().take(50) {
        match step {
            Step::Entry { kind, path, link, content } => {
                let kind = match kind {
                    Kind::File => b'0',
                    Kind::OldFile => 0,
                    Kind::Directory => b'5',
                    Kind::Symlink => b'2',
                    Kind::Hardlink => b'1',
                    Kind::Fifo => b'6',
                    Kind::Sparse => b'S',
                };
                let content = vec![*content; usize::from(*content) * usize::from(kind == b'0') * 3];
                entry(&mut archive, kind, &text(path), &text(link), &content);
            }
            Step::Whiteout { path, name } => {
                let name = [&b".wh."[..], &text(&[*name])].concat();
                entry(&mut archive, b'0', &[&text(path)[..], b"/", &name].concat(), b"", b"");
            }
            Step::Opaque { path } => {
                entry(&mut archive, b'0', &[&text(path)[..], b"/.wh..wh..opq"].concat(), b"", b"");
            }
            Step::Bytes(bytes) => {
                archive.extend(bytes);
                archive.resize(archive.len().next_multiple_of(512), 0);
            }
        }
    }
    with_checksums(&mut archive);
    archive
}

fuzz_target!(|image: Vec<Vec<Step>>| {
    let archives: Vec<Vec<u8>> = image.iter().take(6).map(|steps| archive(steps)).collect();
    layers(&archives);
});

//! An archive as an image. What begins with `files` is a list of files, parted by the byte 0x1e; the first line of each
//! is its name, `-` for a blob. In them `@2` stands for the digest and the size of the file with the number 2, and `@` with
//! the byte 0xb2 for the digest alone, so that digests are right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

fn files(text: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    let mut digests: Vec<(String, usize)> = Vec::new();
    for file in text.split(|&byte| byte == b'\x1e').take(40) {
        let end = file.iter().position(|&byte| byte == b'\n').unwrap_or(file.len());
        let (name, content) = file.split_at(end);
        let content = content.strip_prefix(b"\n").unwrap_or(content);
        let mut whole = Vec::new();
        let mut bytes = content.iter();
        while let Some(&byte) = bytes.next() {
            if byte != b'@' {
                whole.push(byte);
                continue;
            }
            let number = bytes.next().copied().unwrap_or(b'0').wrapping_sub(b'0');
            match digests.get(usize::from(number & 0x7f)) {
                Some((digest, size)) if number & 0x80 == 0 => {
                    whole.extend(format!("\"digest\":\"sha256:{digest}\",\"size\":{size}").bytes());
                }
                Some((digest, _)) => whole.extend(format!("\"sha256:{digest}\"").bytes()),
                None => whole.push(byte),
            }
        }
        let digest: String = Sha256::digest(&whole).iter().map(|byte| format!("{byte:02x}")).collect();
        let name = if name == b"-" { format!("blobs/sha256/{digest}").into_bytes() } else { name.to_vec() };
        digests.push((digest, whole.len()));
        evercall::fuzzing::entry(&mut archive, b'0', &name, b"", &whole);
    }
    archive
}

fuzz_target!(|bytes: &[u8]| {
    match bytes.strip_prefix(b"files") {
        Some(text) => evercall::fuzzing::image(&files(text)),
        None => {
            let mut archive = bytes.to_vec();
            evercall::fuzzing::with_checksums(&mut archive);
            evercall::fuzzing::image(&archive);
        }
    }
});

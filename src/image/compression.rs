//! Takes the compression off a stream: gzip or zstd, told by how it begins, never by its name.

use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufReader, Error, ErrorKind, Read};

/// How a stream is compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// Not at all.
    None,
    /// By gzip, in one member or several.
    Gzip,
    /// By Zstandard, in one frame or several.
    Zstd,
}

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// Zstandard's skippable frames, which zstd:chunked begins with or ends with, have one of sixteen numbers.
const ZSTD_SKIPPABLE: &[u8] = b"\x2a\x4d\x18";

/// What begins so is compressed in a way that is not read here.
const UNREAD: [(&[u8], &str); 3] = [(b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2"), (b"\x04\x22\x4d\x18", "lz4")];

/// A window larger than this is refused (2^27 bytes, as `zstd -d` does without `--long`).
const ZSTD_WINDOW_LOG: u32 = 27;

const BUFFER: usize = 128 << 10;

/// The stream as it is when unpacked, and what it was packed with.
pub fn unpacked<'a>(stream: impl Read + Send + 'a) -> io::Result<(Compression, Box<dyn Read + Send + 'a>)> {
    // A pipe may hand bytes out one by one.
    let mut stream = stream;
    let mut head = Vec::new();
    (&mut stream).take(6).read_to_end(&mut head)?;
    for (magic, name) in UNREAD {
        if head.starts_with(magic) {
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!("it is compressed by {name}, not by gzip or zstd"),
            ));
        }
    }
    let skippable =
        head.first().is_some_and(|b| (0x50..=0x5f).contains(b)) && head.get(1..4) == Some(ZSTD_SKIPPABLE);
    let (gzip, zstd) = (head.starts_with(GZIP), head.starts_with(ZSTD) || skippable);
    let stream = BufReader::with_capacity(BUFFER, io::Cursor::new(head).chain(stream));
    Ok(if gzip {
        (Compression::Gzip, Box::new(MultiGzDecoder::new(stream)))
    } else if zstd {
        let mut decoder = zstd::Decoder::with_buffer(stream)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        (Compression::Zstd, Box::new(decoder))
    } else {
        (Compression::None, Box::new(stream))
    })
}

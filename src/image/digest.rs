//! Digests of blobs, and readers that check or make them.

use sha2::{Digest as _, Sha256, Sha512};
use std::fmt;
use std::io::{self, Error, ErrorKind, Read};

/// `sha256:` or `sha512:` and the hash in lower-case hexadecimal, as the OCI image specification writes it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    fn digits(self) -> usize {
        match self {
            Algorithm::Sha256 => 64,
            Algorithm::Sha512 => 128,
        }
    }
}

impl Digest {
    /// Reads one; the error says what is wrong with it. What comes out is safe as the name of a file.
    pub fn parse(text: &str) -> Result<Digest, String> {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(160).collect();
        let (name, hex) = text.split_once(':').ok_or_else(|| format!("\"{shown}\" is no digest"))?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(format!("the digest \"{shown}\" is neither sha256 nor sha512")),
        };
        let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hex.len() != algorithm.digits() || !hex.bytes().all(lower) {
            return Err(format!("\"{shown}\" is no digest"));
        }
        Ok(Digest { algorithm, hex: hex.to_string() })
    }

    /// The SHA-256 of some bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.digest()
    }

    /// The hash alone.
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Where the blob lies in an OCI layout: `blobs/sha256/...`.
    pub fn blob_path(&self) -> String {
        format!("blobs/{}/{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[derive(Clone)]
enum State {
    Sha256(Sha256),
    Sha512(Sha512),
}

/// Makes a digest of what it is shown; SHA-256 by default.
#[derive(Clone)]
pub struct Hasher(State);

impl Default for Hasher {
    fn default() -> Hasher {
        Hasher(State::Sha256(Sha256::new()))
    }
}

impl Hasher {
    fn like(digest: &Digest) -> Hasher {
        match digest.algorithm {
            Algorithm::Sha256 => Hasher::default(),
            Algorithm::Sha512 => Hasher(State::Sha512(Sha512::new())),
        }
    }

    /// Goes on with these bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The digest of all bytes so far.
    pub fn digest(self) -> Digest {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self.0 {
            State::Sha256(state) => Digest { algorithm: Algorithm::Sha256, hex: hex(&state.finalize()) },
            State::Sha512(state) => Digest { algorithm: Algorithm::Sha512, hex: hex(&state.finalize()) },
        }
    }
}

/// Reads bytes that must have this digest, and this size where it is known. What differs is an error at the end of
/// the bytes, so they count as right only once they were read to their end ([`Checked::finish`]).
pub struct Checked<R> {
    inner: R,
    /// What is compared at the end; None once it was right.
    due: Option<(Hasher, Digest)>,
    size: Option<u64>,
    read: u64,
}

impl<R: Read> Checked<R> {
    /// Bytes that must have a digest and a size, as far as they are known.
    pub fn new(inner: R, digest: Option<Digest>, size: Option<u64>) -> Checked<R> {
        let due = digest.map(|digest| (Hasher::like(&digest), digest));
        Checked { inner, due, size, read: 0 }
    }

    /// Reads what is left, so that all of it was checked.
    pub fn finish(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }

    /// What the bytes are read from.
    pub fn into_inner(self) -> R {
        self.inner
    }

    fn end(&mut self) -> io::Result<()> {
        let damaged = |why: String| Err(Error::new(ErrorKind::InvalidData, why));
        if let Some(size) = self.size.filter(|&size| size != self.read) {
            return damaged(format!("it is cut off: {} of {size} bytes are there", self.read));
        }
        if let Some((hasher, due)) = &self.due {
            let found = hasher.clone().digest();
            if found != *due {
                // Asked once more, it is still damaged.
                return damaged(format!("it is damaged: its content has the digest {found}, not {due}"));
            }
            self.due = None;
        }
        Ok(())
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        if length == 0 && !buffer.is_empty() {
            self.end()?;
            return Ok(0);
        }
        self.read = self.read.saturating_add(length as u64);
        if let Some(size) = self.size.filter(|&size| size < self.read) {
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!("it is longer than the {size} bytes given"),
            ));
        }
        if let (Some((hasher, _)), Some(bytes)) = (&mut self.due, buffer.get(..length)) {
            hasher.update(bytes);
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn digests_are_those_of_sha256sum() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(
            Digest::of(b"abc").to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        for wrong in
            ["", "sha256:", "md5:00", "sha256:../../etc", &EMPTY.to_uppercase(), &format!("{EMPTY}0")]
        {
            assert!(Digest::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Digest::parse(EMPTY).is_ok());
    }

    #[test]
    fn changed_cut_and_longer_bytes_are_errors() {
        let read = |bytes: &[u8], size| {
            let digest = Digest::of(b"hello");
            Checked::new(bytes, Some(digest), Some(size)).finish()
        };
        assert!(read(b"hello", 5).is_ok());
        for (bytes, size, why) in
            [(&b"hellO"[..], 5, "damaged"), (b"hell", 5, "cut off"), (b"hello!", 5, "longer")]
        {
            let error = read(bytes, size).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let mut twice = Checked::new(&b"hellO"[..], Some(Digest::of(b"hello")), None);
        assert!(twice.finish().is_err() && twice.finish().is_err());
    }
}

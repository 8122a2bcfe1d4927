//! One header block of a tar archive: v7, ustar, pax, GNU and star.
//!
//! Fields are read as Go's archive/tar reads them, since Docker, containerd, Podman and BuildKit all unpack layers by it:
//! what is read otherwise here than there would be something that a check overlooks.

use super::tar_sparse::Piece;

/// Bytes of a block: headers are one, contents are padded to whole ones.
pub const BLOCK: usize = 512;

/// A header block.
#[derive(Clone)]
pub struct Header([u8; BLOCK]);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    V7,
    Ustar,
    Gnu,
    Star,
}

impl Header {
    /// The header in a block; None when its checksum is wrong. Old writers summed up signed bytes.
    pub fn new(block: [u8; BLOCK]) -> Option<Header> {
        let (mut unsigned, mut signed) = (0_i64, 0_i64);
        for (at, &byte) in block.iter().enumerate() {
            let byte = if (148..156).contains(&at) { b' ' } else { byte };
            unsigned += i64::from(byte);
            signed += i64::from(i8::from_ne_bytes([byte]));
        }
        let header = Header(block);
        let sum = i64::try_from(octal(header.field(148, 8))?).ok()?;
        (sum == unsigned || sum == signed).then_some(header)
    }

    fn field(&self, at: usize, length: usize) -> &[u8] {
        self.0.get(at..at + length).unwrap_or_default()
    }

    fn format(&self) -> Format {
        match (self.field(257, 6), self.field(263, 2)) {
            (b"ustar\0", _) if self.field(508, 4) == b"tar\0" => Format::Star,
            (b"ustar\0", _) => Format::Ustar,
            (b"ustar ", b" \0") => Format::Gnu,
            _ => Format::V7,
        }
    }

    /// What the entry is: `0` a file, `5` a directory...
    pub fn kind(&self) -> u8 {
        self.0[156]
    }

    /// Its name, with ustar's prefix.
    pub fn name(&self) -> Vec<u8> {
        let prefix = match self.format() {
            Format::Ustar => text(self.field(345, 155)),
            Format::Star => text(self.field(345, 131)),
            Format::V7 | Format::Gnu => &[],
        };
        let name = text(self.field(0, 100));
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    /// What it links to; empty for none.
    pub fn link(&self) -> Vec<u8> {
        text(self.field(157, 100)).to_vec()
    }

    /// Permission bits, and whatever else stands there.
    pub fn mode(&self) -> Option<i64> {
        number(self.field(100, 8))
    }

    /// Owner.
    pub fn uid(&self) -> Option<i64> {
        number(self.field(108, 8))
    }

    /// Group.
    pub fn gid(&self) -> Option<i64> {
        number(self.field(116, 8))
    }

    /// When it was changed last, in seconds since 1970; None for what is no number, or earlier.
    pub fn mtime(&self) -> Option<u64> {
        number(self.field(136, 12)).and_then(|seconds| u64::try_from(seconds).ok())
    }

    /// Bytes of the content; None for what is no number, or below 0.
    pub fn size(&self) -> Option<u64> {
        u64::try_from(number(self.field(124, 12))?).ok()
    }

    /// Bytes of a sparse file with its holes, in GNU's old form.
    pub fn real_size(&self) -> Option<u64> {
        let gnu = self.format() == Format::Gnu;
        u64::try_from(number(self.field(483, 12)).filter(|_| gnu)?).ok()
    }

    /// The first pieces of a sparse file in GNU's old form, and whether a block with more of them follows.
    pub fn pieces(&self) -> Option<(Vec<Piece>, bool)> {
        let pieces = self.field(386, 96).chunks(24).map_while(piece).collect::<Option<_>>()?;
        Some((pieces, self.0[482] != 0))
    }

    /// Whether a block is one of zeros, which ends an archive.
    pub fn ends(block: &[u8; BLOCK]) -> bool {
        block.iter().all(|&byte| byte == 0)
    }
}

/// The pieces of a block that goes on with a sparse file's map in GNU's old form, and whether another follows.
pub fn more_pieces(block: &[u8; BLOCK]) -> Option<(Vec<Piece>, bool)> {
    let (list, rest) = block.split_at(504);
    let pieces = list.chunks(24).map_while(piece).collect::<Option<_>>()?;
    Some((pieces, rest.first() != Some(&0)))
}

/// None ends the list; Some(None) is no number.
fn piece(field: &[u8]) -> Option<Option<Piece>> {
    let (offset, length) = field.split_at_checked(12)?;
    if offset.first() == Some(&0) {
        return None;
    }
    let number = |field| u64::try_from(number(field)?).ok();
    Some(number(offset).zip(number(length)).map(|(offset, length)| Piece { offset, length }))
}

/// What stands before the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A number: octal digits, or two's complement of base 256 where the first bit is set.
fn number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 == 0 {
        return octal(field).and_then(|value| i64::try_from(value).ok());
    }
    let inverted = if first & 0x40 == 0 { 0 } else { 0xff };
    let mut value = 0_u64;
    for (at, byte) in field.iter().enumerate() {
        let byte = byte ^ inverted;
        let byte = if at == 0 { byte & 0x7f } else { byte };
        value = value.checked_mul(256)? | u64::from(byte);
    }
    let value = i64::try_from(value).ok()?;
    Some(if inverted == 0 { value } else { !value })
}

/// Octal digits, with blanks and NULs around them; nothing is 0.
fn octal(field: &[u8]) -> Option<u64> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_blank(byte)).unwrap_or(field.len());
    let end = field.iter().rposition(|byte| !is_blank(byte)).map_or(start, |at| at + 1);
    let digits = text(field.get(start..end)?);
    digits.iter().try_fold(0_u64, |value, &digit| {
        let digit = matches!(digit, b'0'..=b'7').then(|| u64::from(digit - b'0'))?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        for (field, value) in [
            (&b"0000755\0"[..], Some(0o755)),
            (b"   755 \0", Some(0o755)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Some(-1)),
            (b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\x80\x01\0\0\0\0\0\0\0\0\0\0", None),
            (b"00007x5\0", None),
            (b"-0000001", None),
        ] {
            assert_eq!(number(field), value, "{field:?}");
        }
    }
}

//! Files with holes in a tar archive: GNU's old form and the three in pax headers (0.0, 0.1, 1.0), as GNU tar and bsdtar
//! write them.

use super::limits;
use super::tar_header::BLOCK;
use std::io::{self, Error, ErrorKind, Read};

/// A part of a sparse file that has content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Where in the file it begins.
    pub offset: u64,
    /// Its bytes.
    pub length: u64,
}

/// What pax headers say of a sparse file.
#[derive(Default, Clone)]
pub struct Records {
    major: Vec<u8>,
    minor: Vec<u8>,
    /// The name; what stands for it in the header is made up.
    pub name: Option<Vec<u8>>,
    size: Option<u64>,
    count: Option<u64>,
    /// Offsets and lengths in turn (0.1).
    map: Vec<u64>,
    /// The same, each in a record of its own (0.0).
    listed: Vec<u64>,
}

impl Records {
    /// Takes a record whose key begins with `GNU.sparse.`; None where it is damaged.
    pub fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"major" => self.major = value.to_vec(),
            b"minor" => self.minor = value.to_vec(),
            b"name" => self.name = Some(value.to_vec()).filter(|name| !name.is_empty()),
            b"size" | b"realsize" => self.size = Some(decimal(value)?),
            b"numblocks" => self.count = Some(decimal(value)?),
            b"map" if value.is_empty() => self.map.clear(),
            b"map" => self.map = value.split(|&byte| byte == b',').map(decimal).collect::<Option<_>>()?,
            b"offset" | b"numbytes" => {
                let length_due = self.listed.len() % 2 == 1;
                (length_due == (key == b"numbytes")).then_some(())?;
                self.listed.push(decimal(value)?);
            }
            _ => {}
        }
        Some(())
    }

    /// Whether the map stands at the beginning of the content.
    fn in_content(&self) -> bool {
        self.major == b"1" && self.minor == b"0"
    }

    /// The map of the file, of `stored` bytes with a map that stands before them; None where the file is not sparse.
    pub fn map(&self, content: &mut impl Read) -> io::Result<Option<Map>> {
        let numbers = if self.listed.is_empty() { &self.map } else { &self.listed };
        let known = matches!((&self.major[..], &self.minor[..]), (b"0", b"0" | b"1") | (b"", b""));
        let pieces = if self.in_content() {
            Map::leading(content)?
        } else if known && (!self.major.is_empty() || !numbers.is_empty()) {
            if self.count.is_some_and(|count| count != numbers.len() as u64 / 2) || numbers.len() % 2 == 1 {
                return Err(broken());
            }
            pairs(numbers)
        } else {
            return Ok(None);
        };
        Map::new(pieces, self.size.ok_or_else(broken)?).map(Some)
    }
}

fn broken() -> Error {
    Error::new(ErrorKind::InvalidData, "the map of its holes is damaged")
}

fn decimal(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse::<i64>().ok()?.try_into().ok()
}

fn pairs(numbers: &[u64]) -> Vec<Piece> {
    let piece = |pair: &[u64]| Some(Piece { offset: *pair.first()?, length: *pair.get(1)? });
    numbers.chunks(2).filter_map(piece).collect()
}

/// Where a sparse file has content.
#[derive(Debug)]
pub struct Map {
    /// In order, none overlapping; the next one last.
    pieces: Vec<Piece>,
    at: u64,
    /// Bytes of the file with its holes.
    pub size: u64,
}

impl Map {
    /// A map; its pieces must be in order and inside of the file.
    pub fn new(mut pieces: Vec<Piece>, size: u64) -> io::Result<Map> {
        let mut end = 0;
        for piece in &pieces {
            let next = piece.offset.checked_add(piece.length).filter(|&next| next <= size);
            if piece.offset < end {
                return Err(broken());
            }
            end = next.ok_or_else(broken)?;
        }
        pieces.reverse();
        Ok(Map { pieces, at: 0, size })
    }

    /// Bytes of the pieces: what the archive holds of the file.
    pub fn stored(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.length).sum()
    }

    /// Reads pax's form 1.0: decimal numbers, one a line, in whole blocks.
    fn leading(content: &mut impl Read) -> io::Result<Vec<Piece>> {
        let (mut numbers, mut due) = (Vec::new(), 1);
        let mut digits = Vec::new();
        while numbers.len() < due {
            let mut block = [0; BLOCK];
            content.read_exact(&mut block).map_err(|_| broken())?;
            for &byte in &block {
                match byte {
                    b'\n' if numbers.len() < due => {
                        numbers.push(decimal(&digits).ok_or_else(broken)?);
                        digits.clear();
                        if let [count] = numbers[..] {
                            let count = usize::try_from(count).ok().filter(|&n| n <= limits::SPARSE_PIECES);
                            due = count.ok_or_else(broken)? * 2 + 1;
                        }
                    }
                    _ if numbers.len() >= due => break,
                    _ if digits.len() < 20 => digits.push(byte),
                    _ => return Err(broken()),
                }
            }
        }
        Ok(pairs(numbers.get(1..).unwrap_or_default()))
    }

    /// Reads on in the file, the pieces from what the archive holds.
    pub fn read(&mut self, buffer: &mut [u8], stored: &mut impl Read) -> io::Result<usize> {
        while self.pieces.last().is_some_and(|piece| piece.length == 0) {
            self.pieces.pop();
        }
        let until = match self.pieces.last() {
            Some(piece) if piece.offset <= self.at => self.at.saturating_add(piece.length),
            Some(piece) => piece.offset,
            None => self.size,
        };
        let most = usize::try_from(until.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let length = match self.pieces.last_mut() {
            Some(piece) if piece.offset <= self.at => {
                let length = stored.read(buffer)?;
                piece.offset += length as u64;
                piece.length = piece.length.saturating_sub(length as u64);
                if length == 0 {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                length
            }
            _ => {
                buffer.fill(0);
                buffer.len()
            }
        };
        self.at += length as u64;
        Ok(length)
    }
}

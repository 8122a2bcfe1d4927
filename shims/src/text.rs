//! Text in fixed buffers: what is too long is cut, never written past the end.

use core::ffi::CStr;
use core::fmt;

/// Up to N bytes of text, always with room for a NUL behind it.
pub struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
    cut: bool,
}

impl<const N: usize> Text<N> {
    /// Empty.
    pub const fn new() -> Self {
        Text { bytes: [0; N], length: 0, cut: false }
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&[])
    }

    /// Whether something did not fit.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) -> &mut Self {
        for &byte in bytes {
            self.push_byte(byte);
        }
        self
    }

    /// Adds one byte.
    pub fn push_byte(&mut self, byte: u8) -> &mut Self {
        match self.bytes.get_mut(self.length) {
            // The last byte stays 0, for c_str.
            Some(slot) if self.length + 1 < N => {
                *slot = byte;
                self.length += 1;
            }
            _ => self.cut = true,
        }
        self
    }

    /// Adds a number in decimal.
    pub fn decimal(&mut self, number: u64) -> &mut Self {
        let mut digits = [0u8; 20];
        let text = decimal(number, &mut digits);
        self.push(text)
    }

    /// Adds a signed number in decimal.
    pub fn signed(&mut self, number: i64) -> &mut Self {
        if number < 0 {
            self.push_byte(b'-');
        }
        self.decimal(number.unsigned_abs())
    }

    /// Adds a number in hexadecimal, with 0x.
    pub fn hex(&mut self, number: u64) -> &mut Self {
        self.push(b"0x");
        let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            let digit = (number >> (digit * 4)) as u8 & 15;
            self.push_byte(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 });
        }
        self
    }

    /// Shortens it to `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        if length < self.length {
            self.length = length;
        }
    }

    /// Replaces one byte of what is there.
    pub fn replace(&mut self, at: usize, byte: u8) {
        if let Some(place) = self.bytes.get_mut(at).filter(|_| at < self.length) {
            *place = byte;
        }
    }

    /// As a C string; cut at a NUL inside.
    pub fn c_str(&mut self) -> &CStr {
        if let Some(end) = self.bytes.get_mut(self.length) {
            *end = 0;
        }
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.push(s.as_bytes());
        Ok(())
    }
}

/// The decimal digits of a number.
pub fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut start = digits.len();
    for (index, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        start = index;
        if number == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or(&[])
}

/// Reads a decimal number at the start of a text: the number and the rest. None without a digit.
pub fn parse_decimal(text: &[u8]) -> Option<(u64, &[u8])> {
    parse(text, 10)
}

/// Reads a hexadecimal number at the start of a text, without 0x.
pub fn parse_hex(text: &[u8]) -> Option<(u64, &[u8])> {
    parse(text, 16)
}

fn parse(text: &[u8], base: u32) -> Option<(u64, &[u8])> {
    let mut number = 0u64;
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let Some(digit) = char::from(byte).to_digit(base) else { break };
        number = number.wrapping_mul(u64::from(base)).wrapping_add(u64::from(digit));
        rest = tail;
    }
    if rest.len() == text.len() { None } else { Some((number, rest)) }
}

/// The fields of a line, as blanks divide them.
pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&b| b == b' ' || b == b'\t').filter(|field| !field.is_empty())
}

/// Cuts blanks off both ends.
pub fn trim(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_writes_every_width() {
        for (number, text) in [(0, "0"), (9, "9"), (10, "10"), (u64::MAX, "18446744073709551615")] {
            assert_eq!(decimal(number, &mut [0; 20]), text.as_bytes());
        }
    }

    #[test]
    fn text_is_cut_and_never_overruns() {
        let mut text = Text::<4>::new();
        text.push(b"abcdef");
        assert_eq!(text.bytes(), b"abc");
        assert!(text.is_cut());
        assert_eq!(text.c_str(), c"abc");
    }

    #[test]
    fn parse_stops_at_what_is_no_digit() {
        assert_eq!(parse_decimal(b"12 x"), Some((12, &b" x"[..])));
        assert_eq!(parse_decimal(b"-1"), None);
        assert_eq!(parse_hex(b"fF:"), Some((255, &b":"[..])));
    }

    #[test]
    fn fields_skip_runs_of_blanks() {
        let all: Vec<_> = fields(b"  a\t b ").collect();
        assert_eq!(all, [b"a", b"b"]);
    }
}

//! The times of log lines: checked, and small enough to keep two in each group.

use std::fmt;

/// `2026-11-23T17:31:00.123456Z`: digits where it says 0.
const SHAPE: &[u8; 27] = b"0000-00-00T00:00:00.000000Z";

/// A moment, UTC, to the microsecond. Later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(u64);

/// Year, month, day, hour, minute, second, microsecond: how many values each can have, and may have at least
/// and at most. The shim's clock counts from 1970.
const FIELDS: [(usize, usize, u64, u64); 7] = [
    (0, 4, 1970, 9999),
    (5, 2, 1, 12),
    (8, 2, 1, 31),
    (11, 2, 0, 23),
    (14, 2, 0, 59),
    (17, 2, 0, 59),
    (20, 6, 0, 999_999),
];

impl Time {
    /// How long the text of a time is.
    pub const LENGTH: usize = SHAPE.len();

    /// Whether a text can be the beginning of a time, or is longer than one and begins with it.
    pub fn is_shaped(text: &[u8]) -> bool {
        text.iter().zip(SHAPE).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            _ => byte == shape,
        })
    }

    /// Reads a time at the beginning of a text.
    pub fn parse(text: &[u8]) -> Option<Time> {
        if text.len() < Time::LENGTH || !Time::is_shaped(text) {
            return None;
        }
        let mut packed = 0;
        let mut fields = [0; FIELDS.len()];
        for (field, (start, length, least, most)) in fields.iter_mut().zip(FIELDS) {
            *field = digits(&text[start..start + length]);
            if !(least..=most).contains(field) {
                return None;
            }
            packed = packed * (most + 1) + *field;
        }
        let [year, month, day, ..] = fields;
        (day <= days(year, month)).then_some(Time(packed))
    }
}

fn digits(text: &[u8]) -> u64 {
    text.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

/// The days of a month.
fn days(year: u64, month: u64) -> u64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut packed = self.0;
        let mut fields = [0; FIELDS.len()];
        for (field, (_, _, _, most)) in fields.iter_mut().zip(FIELDS).rev() {
            *field = packed % (most + 1);
            packed /= most + 1;
        }
        let [year, month, day, hour, minute, second, micro] = fields;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micro:06}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_back_and_in_order() {
        let times = [
            "1970-01-01T00:00:00.000000Z",
            "2000-02-29T12:34:56.000001Z",
            "2026-11-23T17:31:00.123456Z",
            "2026-12-01T00:00:00.000000Z",
            "9999-12-31T23:59:59.999999Z",
        ]
        .map(|text| {
            let time = Time::parse(text.as_bytes()).unwrap();
            assert_eq!(time.to_string(), text);
            time
        });
        assert!(times.is_sorted());
    }

    #[test]
    fn what_no_clock_shows_is_no_time() {
        for text in [
            "",
            "2026-11-23T17:31:00.123456",
            "2026-11-23 17:31:00.123456Z",
            "2026-13-23T17:31:00.123456Z",
            "2026-11-31T17:31:00.123456Z",
            "2025-02-29T17:31:00.123456Z",
            "1900-02-28T17:31:00.123456Z",
            "2026-00-23T17:31:00.123456Z",
            "2026-11-00T17:31:00.123456Z",
            "2026-11-23T24:31:00.123456Z",
            "2026-11-23T17:60:00.123456Z",
            "2026-11-23T17:31:60.123456Z",
            "2026-11-23T17:31:-1.123456Z",
            "2026-11-23T17:31:00.12345xZ",
        ] {
            assert_eq!(Time::parse(text.as_bytes()), None, "{text}");
        }
    }
}

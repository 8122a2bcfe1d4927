//! Writes images: a layer of our own ([`layer`]), and OCI layouts, OCI archives and Docker archives ([`output`]) made of
//! documents, new blobs, and blobs copied as they are from another image. Nothing is packed anew, and the same parts
//! make the same bytes.

pub mod layer;
pub mod output;
mod place;
pub mod scratch;

pub use layer::{Content, LayerBuilder, NewLayer, Packing};
pub use output::{Parts, Source, write};

use crate::failure::Failure;
use std::env;

/// The time that new things get, in seconds since 1970: that of `SOURCE_DATE_EPOCH`, if it is set.
/// (<https://reproducible-builds.org/specs/source-date-epoch/>)
pub fn source_date() -> Result<Option<u64>, Failure> {
    match env::var_os("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => {
            let number = value.to_str().and_then(|text| text.parse().ok());
            // The year 9999 ends then: what is later has no date in a config.
            let number = number.filter(|&number: &u64| number < 253_402_300_800);
            number.map(Some).ok_or_else(|| {
                Failure::new(format!(
                    "SOURCE_DATE_EPOCH is \"{}\", and should be seconds since 1970",
                    value.to_string_lossy()
                ))
            })
        }
    }
}

/// Seconds since 1970 as a config has them: `1970-01-01T00:00:00Z` (RFC 3339).
pub fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86400, seconds % 86400);
    // Days since 0000-03-01, in eras of 400 years: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + carry;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    /// As `date -u -d @SECONDS +%FT%TZ` has them.
    #[test]
    fn dates_are_those_of_date() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (1_795_888_783, "2026-11-28T17:59:43Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(super::date(seconds), text);
        }
    }
}

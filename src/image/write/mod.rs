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

//! How a path ends, as a place in a bitmap: shared with the build script, which fills it.

/// 64-bit words of the bitmap: at some eighty rows, one other path in a hundred is taken for a row's.
pub const WORDS: usize = 128;

/// The bit of a path's last four bytes, little-endian. A multiplicative hash: the upper bits are the mixed ones.
pub const fn bit(last: u32) -> usize {
    let bits = (WORDS * 64).trailing_zeros();
    (last.wrapping_mul(0x9e37_79b1) >> (32 - bits)) as usize
}

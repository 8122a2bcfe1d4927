//! What reading an image may cost at most. A hostile image ends with an error instead of filling memory or disk.

/// Upper bounds; an image beyond one is not read to its end.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Things in all layers together, those that are overwritten included.
    pub entries: u64,
    /// Bytes of all layers together, unpacked; of an archive that is compressed as a whole likewise.
    pub unpacked: u64,
    /// Bytes of one file that is looked into.
    pub file: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { entries: 5_000_000, unpacked: 256 << 30, file: 1 << 30 }
    }
}

/// Bytes of a JSON document (index, manifest, config), as skopeo and containerd have it. In memory it may be ten times
/// as large.
pub const JSON: u64 = 4 << 20;

/// Bytes of all documents together, those that several images share counted for each.
pub const DOCUMENTS: u64 = 32 << 20;

/// Layers of one image: overlayfs mounts 500, and Docker makes 127.
pub const LAYERS: usize = 1000;

/// Manifests that an index leads to.
pub const MANIFESTS: usize = 1000;

/// Indexes within indexes.
pub const NESTING: usize = 4;

/// Bytes of a path, as the kernel's `PATH_MAX`.
pub const PATH: usize = 4096;

/// Bytes of one extended header (pax, GNU long name) of a tar archive.
pub const EXTENDED_HEADER: u64 = 1 << 20;

/// Bytes of the names of all paths in an image's layers, each directory's name counted once: 5 million of them have
/// 100 MB in real images.
pub const NAMES: usize = 512 << 20;

/// Parts of one sparse file.
pub const SPARSE_PIECES: usize = 100_000;

/// Members of an archive that holds an image: blobs and documents.
pub const MEMBERS: usize = 100_000;

/// Bytes of the names of all members together, and of what links among them say.
pub const MEMBER_NAMES: usize = 32 << 20;

/// Symbolic links followed one after the other, as the kernel does.
pub const LINKS: usize = 40;

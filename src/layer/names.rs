//! Where things lie in an image that carries evercall, and what its config and manifest say of them.

use std::path::Path;

/// The folder of the libraries. Below it they lie by what `$LIB` is to their loader.
pub use crate::libraries::HOME as FOLDER;

/// The file of a library.
pub use crate::library::NAME as LIBRARY;

/// The list of preloads that glibc reads.
pub const PRELOAD_FILE: &str = "/etc/ld.so.preload";

/// The settings.
pub const CONF: &str = "/etc/evercall.conf";

/// How all labels and annotations of ours begin.
pub const PREFIX: &str = "org.evercall.";

/// The version of evercall that is in the image.
pub const VERSION: &str = "org.evercall.version";

/// The digest of the layer, unpacked: by it the layer is found again, whoever packed it anew.
pub const LAYER: &str = "org.evercall.layer";

/// How the library is loaded: `env`, `preload-file`, or both with a comma.
pub const LOAD: &str = "org.evercall.load";

/// The path that is preloaded.
pub const PRELOAD: &str = "org.evercall.preload";

/// `some` or `none`: whether the image holds setuid, setgid or file-capability programs.
pub const PRIVILEGED: &str = "org.evercall.privileged-programs";

/// `passed` or `not done`: whether programs of the image ran under the library before the layer was written.
pub const SELF_TEST: &str = "org.evercall.self-test";

/// Paths of the static programs that the layer holds a changed copy of, with blanks between.
pub const STATIC: &str = "org.evercall.static";

/// The digest of the config as it was before.
pub const BASE_CONFIG: &str = "org.evercall.base.config";

/// The digest of the manifest as it was before, in the config.
pub const BASE_LABEL: &str = "org.evercall.base.digest";

/// The digest of the manifest as it was before.
pub const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// The name that the image had.
pub const BASE_NAME: &str = "org.opencontainers.image.base.name";

/// What a base annotation said before is kept under this and its own name.
pub const BEFORE: &str = "org.evercall.before.";

/// Whether a path of the image is one that evercall brings.
pub fn is_ours(path: &Path) -> bool {
    path == Path::new(PRELOAD_FILE) || path == Path::new(CONF) || path.starts_with(FOLDER)
}

/// The path of a library: `/usr/lib/evercall/lib64/libevercall.so`.
pub fn library(lib: &str) -> String {
    format!("{FOLDER}/{lib}/{LIBRARY}")
}

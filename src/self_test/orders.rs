//! What the sandbox is told: a length of eight bytes, so many bytes of JSON, then the content of its files in their order.

use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::io::{self, Error, ErrorKind, Read, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// Longer orders are not read.
const LONGEST: u64 = 64 << 20;

/// What is in the sandbox, and what is run there.
#[derive(Serialize, Deserialize, Debug, Default)]
pub struct Orders {
    /// The command: its first word is the path of the program.
    pub command: Vec<Word>,
    /// Its environment.
    pub environment: Vec<(Word, Word)>,
    /// Symbolic links: path and target.
    pub links: Vec<(Word, Word)>,
    /// Files: path, permission bits, size.
    pub files: Vec<(Word, u32, u64)>,
    /// Seconds that the program may run.
    pub seconds: u64,
    /// Bytes of memory a process may have.
    pub memory: u64,
    /// RLIMIT_NOFILE.
    pub descriptors: u64,
    /// Processes and threads that it may have beside those of the same user on this machine.
    pub processes: u64,
    /// Whether programs of other architectures than x86-64 run there.
    pub foreign: bool,
}

/// A text that need not be UTF-8.
#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Eq)]
pub struct Word(Vec<u8>);

impl Word {
    /// The text.
    pub fn as_os(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }
}

impl<T: Into<OsString>> From<T> for Word {
    fn from(text: T) -> Word {
        Word(text.into().into_vec())
    }
}

impl Orders {
    /// Writes them; the contents are to follow.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let json = serde_json::to_vec(self)?;
        to.write_all(&(json.len() as u64).to_le_bytes())?;
        to.write_all(&json)
    }

    /// Reads them; the contents follow.
    pub fn read(from: &mut impl Read) -> io::Result<Orders> {
        let mut length = [0; 8];
        from.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST {
            return Err(Error::new(ErrorKind::InvalidData, "orders too long"));
        }
        let mut json = Vec::new();
        from.take(length).read_to_end(&mut json)?;
        Ok(serde_json::from_slice(&json)?)
    }
}

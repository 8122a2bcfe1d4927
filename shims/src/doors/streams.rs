//! Doors of `fopen` and its kin, whose libc opens the file inside itself: the next definition first, then the
//! file rules.

use crate::errno;
use crate::file_rules;
use crate::next::{Function, Next};
use crate::sys::{self, Fd, User};

/// Opens a stream by the next definition: NULL, and errno, where that fails.
fn by(function: Function, path: usize, mode: usize) -> usize {
    // SAFETY: the caller's own call, or the same function with a path of ours.
    unsafe { function(path, mode, 0, 0, 0, 0) as usize }
}

macro_rules! stream_door {
    ($symbol:ident) => {
        /// A stream of the file that a rule gives, if one acts on the path.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(path: usize, mode: usize) -> usize {
            static NEXT: Next = Next::unknown();
            open(&NEXT, stringify!($symbol).as_bytes(), path, mode)
        }
    };
}

stream_door!(fopen);
stream_door!(fopen64);
stream_door!(_IO_fopen);
// For /proc/mounts: getmntent(3) reads what fopen(3) gave too.
stream_door!(setmntent);

#[inline(always)]
fn open(next: &Next, name: &[u8], path: usize, mode: usize) -> usize {
    let errno_before = errno::get();
    let Some(function) = next.known().or_else(|| next.find(name)) else {
        errno::set(libc::ENOSYS);
        return 0;
    };
    let stream = by(function, path, mode);
    // SAFETY: the file was opened by this path just now.
    if stream != 0 && unsafe { file_rules::is_passed_over(path) } {
        return stream;
    }
    let answer = if stream == 0 { -(errno::get() as isize) } else { 0 };
    // SAFETY: the call was made with this path just now.
    match unsafe { file_rules::stream(path, mode, answer) } {
        Some(Ok(file)) => instead(stream, file, mode, errno_before),
        Some(Err(error)) if stream == 0 => {
            errno::set(error.0);
            0
        }
        _ => stream,
    }
}

/// A stream of our file, or our file in the stream that libc has just made.
#[cold]
#[inline(never)]
fn instead(stream: usize, file: Fd, mode: usize, errno_before: i32) -> usize {
    static NUMBER: Next = Next::unknown();
    static MAKE: Next = Next::unknown();
    if stream != 0 {
        // Nothing was read yet: only what is behind its descriptor changes.
        if let Some(number) = NUMBER.find(b"fileno") {
            // SAFETY: the stream that the next fopen gave, which nobody else has seen.
            let number = unsafe { number(stream, 0, 0, 0, 0, 0) } as i32;
            let _ = sys::replace(number, &file, sys::exec_flag(number));
        }
        return stream;
    }
    let Some(make) = MAKE.find(b"fdopen") else { return 0 };
    // SAFETY: a descriptor of ours, and the caller's mode.
    let stream = unsafe { make(file.0 as usize, mode, 0, 0, 0, 0) } as usize;
    if stream != 0 {
        file.into_raw();
        errno::set(errno_before);
    }
    stream
}

macro_rules! reopening_door {
    ($symbol:ident) => {
        /// Ends the stream whatever comes, so that the file is looked for before.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(path: usize, mode: usize, stream: usize) -> usize {
            static NEXT: Next = Next::unknown();
            let Some(function) = NEXT.known().or_else(|| NEXT.find(stringify!($symbol).as_bytes())) else {
                errno::set(libc::ENOSYS);
                return 0;
            };
            let file = file_rules::stream_before(User(path), mode);
            let mut ours = file.as_ref().map(|file| sys::proc_path(file.0));
            let path = ours.as_mut().map_or(path, |ours| ours.c_str().as_ptr() as usize);
            // SAFETY: the caller's own call, or the same with a path of ours.
            unsafe { function(path, mode, stream, 0, 0, 0) as usize }
        }
    };
}

reopening_door!(freopen);
reopening_door!(freopen64);

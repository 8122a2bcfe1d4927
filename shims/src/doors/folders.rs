//! Doors of `opendir` and its kin: a folder that holds only files of ours is a stream of ours, any other is libc's.

use super::{as_kernel, finish};
use crate::errno;
use crate::file_rules;
use crate::file_rules::folders::{Slot, slot};
use crate::memory;
use crate::next::{Function, Next};
use crate::sys::{Errno, Result, User};

/// The next definition of a function, if the libc has it.
#[inline(always)]
fn function(next: &Next, name: &[u8]) -> Option<Function> {
    next.known().or_else(|| next.find(name))
}

/// A pointer that there is none of: NULL and ENOSYS, as without the function.
fn none() -> usize {
    errno::set(libc::ENOSYS);
    0
}

/// A stream of ours for the program, or NULL and errno.
#[cold]
#[inline(never)]
fn given(slot: Result<&'static Slot>, errno_before: i32) -> usize {
    match slot {
        Ok(slot) => {
            errno::set(errno_before);
            slot.address()
        }
        Err(Errno(error)) => {
            errno::set(error);
            0
        }
    }
}

/// opendir(3).
#[unsafe(no_mangle)]
pub extern "C" fn opendir(path: usize) -> usize {
    static NEXT: Next = Next::unknown();
    let errno_before = errno::get();
    let Some(function) = function(&NEXT, b"opendir") else { return none() };
    // SAFETY: the caller's own call, to whom it would have gone without us.
    let stream = unsafe { function(path, 0, 0, 0, 0, 0) } as usize;
    if stream != 0 {
        return stream;
    }
    let error = errno::get();
    // SAFETY: the call was made with this path just now.
    match unsafe { file_rules::folder_stream(path, -(error as isize)) } {
        Some(slot) => given(slot, errno_before),
        None => {
            errno::set(error);
            0
        }
    }
}

/// fdopendir(3).
#[unsafe(no_mangle)]
pub extern "C" fn fdopendir(fd: i32) -> usize {
    static NEXT: Next = Next::unknown();
    let errno_before = errno::get();
    if let Some(slot) = file_rules::folder_stream_of(fd) {
        return given(slot, errno_before);
    }
    let Some(function) = function(&NEXT, b"fdopendir") else { return none() };
    // SAFETY: the caller's own call, to whom it would have gone without us.
    unsafe { function(fd as usize, 0, 0, 0, 0, 0) as usize }
}

macro_rules! reading_door {
    ($symbol:ident) => {
        /// readdir(3): `struct dirent` is the same in its 64-bit form.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(stream: usize) -> usize {
            static NEXT: Next = Next::unknown();
            match slot(stream) {
                Some(slot) => file_rules::next_entry(slot).map_or(0, |(entry, _)| entry),
                None => match function(&NEXT, stringify!($symbol).as_bytes()) {
                    // SAFETY: the caller's own call, to whom it would have gone without us.
                    Some(function) => unsafe { function(stream, 0, 0, 0, 0, 0) as usize },
                    None => none(),
                },
            }
        }
    };
}

reading_door!(readdir);
reading_door!(readdir64);

macro_rules! copying_door {
    ($symbol:ident) => {
        /// readdir_r(3): 0 or an errno; the result is NULL at the end.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(stream: usize, to: usize, result: usize) -> i32 {
            static NEXT: Next = Next::unknown();
            let Some(slot) = slot(stream) else {
                return match function(&NEXT, stringify!($symbol).as_bytes()) {
                    // SAFETY: the caller's own call, to whom it would have gone without us.
                    Some(function) => unsafe { function(stream, to, result, 0, 0, 0) as i32 },
                    None => libc::ENOSYS,
                };
            };
            let given = match file_rules::next_entry(slot) {
                Some((_, length)) => memory::write(User(to), slot.entry(length)).map(|()| to),
                None => Ok(0),
            };
            match given.and_then(|given| memory::put(User(result), given)) {
                Ok(()) => 0,
                Err(Errno(error)) => error,
            }
        }
    };
}

copying_door!(readdir_r);
copying_door!(readdir64_r);

/// closedir(3).
#[unsafe(no_mangle)]
pub extern "C" fn closedir(stream: usize) -> isize {
    static NEXT: Next = Next::unknown();
    let errno_before = errno::get();
    let answer = match (slot(stream), function(&NEXT, b"closedir")) {
        (Some(slot), _) => slot.close().map_or_else(|error| -(error.0 as isize), |()| 0),
        // SAFETY: the caller's own call, to whom it would have gone without us.
        (None, Some(function)) => unsafe { as_kernel(function, [stream, 0, 0, 0, 0, 0]) },
        (None, None) => -(libc::ENOSYS as isize),
    };
    finish(answer, errno_before)
}

/// Doors of what moves in a stream, or tells of it.
macro_rules! moving_doors {
    ($($symbol:ident($($more:ident)?) -> $type:ty, |$slot:ident| $own:expr;)*) => { $(
        /// libc's function of this name.
        #[unsafe(no_mangle)]
        pub extern "C" fn $symbol(stream: usize $(, $more: usize)?) -> $type {
            static NEXT: Next = Next::unknown();
            if let Some($slot) = slot(stream) {
                return $own;
            }
            let mut _more = 0;
            $( _more = $more; )?
            match function(&NEXT, stringify!($symbol).as_bytes()) {
                // SAFETY: the caller's own call, to whom it would have gone without us.
                Some(function) => unsafe { function(stream, _more, 0, 0, 0, 0) as $type },
                None => none() as $type,
            }
        }
    )* };
}

moving_doors! {
    dirfd() -> i32, |slot| slot.fd();
    telldir() -> isize, |slot| slot.place() as isize;
    rewinddir() -> usize, |slot| {
        slot.go_to(0);
        0
    };
    seekdir(place) -> usize, |slot| {
        slot.go_to(place);
        0
    };
}

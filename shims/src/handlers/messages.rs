//! Many messages with one call: `recvmmsg(2)`, `sendmmsg(2)`.

use crate::dispatch::Call;
use crate::memory;
use crate::sys::{self, Errno, Result, User};

/// `struct mmsghdr`: a msghdr, and the bytes of its message. Offsets of what is read here.
const ENTRY: usize = 64;
const VECTOR: usize = 16;
const VECTOR_COUNT: usize = 24;
const MESSAGE_FLAGS: usize = 48;
const LENGTH: usize = 56;

/// Most messages of one sendmmsg(2), and most buffers of a message (UIO_MAXIOV).
const MOST: usize = 1024;

/// Of the kernel's own, for 32-bit callers.
const MSG_CMSG_COMPAT: i32 = 1 << 31;

const NANOS: i64 = 1_000_000_000;

/// `recvmmsg`: how many messages came. EINVAL, EFAULT, EBADF, ENOTSOCK, and what recvmsg(2) answers to the
/// first message; a later error ends the list and is lost, where the kernel keeps it for the next call. The
/// timeout is looked at after each message only, as in the kernel (net/socket.c), and gets what is left of
/// it. May block, and is no cancellation point.
pub fn recvmmsg(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"recvmsg for each message");
    });
    sys::result(receive(call))
}

/// The end of the time, and what was left after the last message.
struct Timeout {
    end: (i64, i64),
    left: [i64; 2],
}

impl Timeout {
    fn read(from: User) -> Result<Timeout> {
        let left @ [seconds, nanos] = memory::get::<[i64; 2]>(from)?;
        Ok(Timeout { end: (seconds, nanos), left })
    }

    /// From a length to an end; no time at all is an end long past (poll_select_set_timeout).
    fn start(&mut self) -> Result<()> {
        let (seconds, nanos) = self.end;
        if seconds < 0 || !(0..NANOS).contains(&nanos) {
            return Err(Errno(libc::EINVAL));
        }
        if (seconds, nanos) != (0, 0) {
            let (now, now_nanos) = sys::monotonic();
            let sum = now_nanos.wrapping_add(nanos);
            let carry = i64::from(sum >= NANOS);
            self.end = (now.saturating_add(seconds).saturating_add(carry), sum - carry * NANOS);
        }
        Ok(())
    }

    /// Whether it is over now.
    fn is_over(&mut self) -> bool {
        let (now, now_nanos) = sys::monotonic();
        let difference = self.end.1.wrapping_sub(now_nanos);
        let borrow = i64::from(difference < 0);
        let seconds = self.end.0.wrapping_sub(now).wrapping_sub(borrow);
        self.left = if seconds < 0 { [0, 0] } else { [seconds, difference + borrow * NANOS] };
        self.left == [0, 0]
    }
}

fn receive(call: &Call<'_>) -> Result<usize> {
    let (fd, entries, count) = (call.int(0), call.user(1), call.arg(2) as u32);
    let (mut flags, at) = (call.int(3), call.user(4));
    if flags & MSG_CMSG_COMPAT != 0 {
        return Err(Errno(libc::EINVAL));
    }
    let mut timeout = if at.is_null() { None } else { Some(Timeout::read(at)?) };
    if let Some(timeout) = timeout.as_mut() {
        timeout.start()?;
    }
    sys::socket_type(fd)?;
    let mut done = 0usize;
    while done < count as usize {
        let entry = entries.at(done * ENTRY);
        let pass = flags & !libc::MSG_WAITFORONE;
        let received =
            sys::check(sys::call(libc::SYS_recvmsg, [fd as usize, entry.0, pass as usize, 0, 0, 0]))
                .and_then(|length| memory::put(entry.at(LENGTH), length as u32));
        match received {
            Ok(()) => done += 1,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
        if flags & libc::MSG_WAITFORONE != 0 {
            flags |= libc::MSG_DONTWAIT;
        }
        if timeout.as_mut().is_some_and(Timeout::is_over) {
            break;
        }
        let out_of_band = memory::get::<i32>(entry.at(MESSAGE_FLAGS)).is_ok_and(|f| f & libc::MSG_OOB != 0);
        if out_of_band {
            break;
        }
    }
    if let Some(timeout) = timeout.filter(|_| done > 0) {
        memory::put(at, timeout.left)?;
    }
    Ok(done)
}

/// `sendmmsg`: how many messages went. EINVAL, EBADF, ENOTSOCK, and what sendmsg(2) answers to the first
/// message; a later error ends the list, as does a message that went in part (net/socket.c). Messages of
/// other threads may come between. May block, and is no cancellation point.
pub fn sendmmsg(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"sendmsg for each message");
    });
    sys::result(send(call))
}

fn send(call: &Call<'_>) -> Result<usize> {
    let (fd, entries, flags) = (call.int(0), call.user(1), call.int(3));
    let count = (call.arg(2) as u32 as usize).min(MOST);
    if flags & MSG_CMSG_COMPAT != 0 {
        return Err(Errno(libc::EINVAL));
    }
    let whole = sys::socket_type(fd)? != libc::SOCK_STREAM;
    let mut done = 0usize;
    while done < count {
        let entry = entries.at(done * ENTRY);
        // Unlike sendmsg(2), this call honours MSG_EOR in the message itself.
        let record = memory::get::<i32>(entry.at(MESSAGE_FLAGS)).map_or(0, |f| f & libc::MSG_EOR);
        let pass = (flags | record) as usize;
        let sent = sys::check(sys::call(libc::SYS_sendmsg, [fd as usize, entry.0, pass, 0, 0, 0]))
            .and_then(|length| memory::put(entry.at(LENGTH), length as u32).map(|()| length));
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        };
        done += 1;
        if !whole && done < count && message_length(entry).is_ok_and(|length| sent < length) {
            break;
        }
    }
    Ok(done)
}

/// The bytes that a message holds.
fn message_length(entry: User) -> Result<usize> {
    let vector = User(memory::get(entry.at(VECTOR))?);
    let count = memory::get::<usize>(entry.at(VECTOR_COUNT))?;
    let mut length = 0usize;
    for index in 0..count.min(MOST) {
        length = length.saturating_add(memory::get(vector.at(index * 16 + 8))?);
    }
    Ok(length)
}

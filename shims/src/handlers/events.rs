//! Event queues: `epoll_create(2)`.

use crate::dispatch::Call;
use crate::sys;

/// `epoll_create`: the size is only checked to be positive (fs/eventpoll.c). EINVAL, EMFILE, ENFILE, ENOMEM.
pub fn epoll_create(call: &mut Call<'_>) -> isize {
    call.became(|text| {
        text.push(b"epoll_create1(0)");
    });
    if call.int(0) <= 0 {
        return -(libc::EINVAL as isize);
    }
    sys::call(libc::SYS_epoll_create1, [0; 6])
}

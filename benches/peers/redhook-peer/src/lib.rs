//! One hook that hands its call on: the least that redhook can do, and what evercall is measured against.

use std::ffi::c_int;

redhook::hook! {
    unsafe fn epoll_create(size: c_int) -> c_int => hand_on {
        redhook::real!(epoll_create)(size)
    }
}

//! What a process sets once, before librdkafka begins anything in it.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;

/// librdkafka copies names out of answers onto the stack of its thread, without a bound of its own: an answer as large as
/// any may be (`receive.message.max.bytes`, 100 MB of itself) must find room there, or a broker of bad will writes
/// beyond it. Memory is taken only for what is touched.
const STACK_BYTES: usize = 256 << 20;

unsafe extern "C" {
    fn OPENSSL_init_crypto(options: u64, settings: *const c_void) -> c_int;
    fn pthread_setattr_default_np(attributes: *const libc::pthread_attr_t) -> c_int;
    #[cfg(test)]
    fn pthread_getattr_default_np(attributes: *mut libc::pthread_attr_t) -> c_int;
}

/// To be called first of all in a process, while it has one thread.
pub fn begin() {
    leave_openssl_as_it_is();
    give_threads_room();
}

/// Keeps OpenSSL from taking its tables apart at the end of the process.
///
/// OpenSSL does so by `atexit`, while threads of librdkafka may still end their connections by those very tables: about
/// one `drover lag` of sixty, by TLS, ended with "double free or corruption" once it had said everything. The kernel
/// takes the memory back in any case. OpenSSL heeds whoever initialises it first; nothing else of it is, which
/// would cost two mebibytes where nobody speaks TLS.
fn leave_openssl_as_it_is() {
    // SAFETY: may be called at any time and from any thread, by OpenSSL's documentation; without settings it takes none.
    // It cannot fail but for want of memory, and then all is as it was.
    unsafe {
        OPENSSL_init_crypto(openssl_sys::OPENSSL_INIT_NO_ATEXIT, ptr::null());
    }
}

/// Threads of C libraries begin with [`STACK_BYTES`]; Rust's own always say how much they want.
fn give_threads_room() {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the attributes are initialised before they are used and destroyed once; the call copies them. Should it be
    // refused, threads begin with what they had before.
    unsafe {
        if libc::pthread_attr_init(attributes.as_mut_ptr()) != 0 {
            return;
        }
        libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK_BYTES);
        pthread_setattr_default_np(attributes.as_ptr());
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_have_room_for_the_largest_answer() {
        begin();
        let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
        let mut size = 0;
        // SAFETY: the first call initialises what the others read and destroy.
        unsafe {
            assert_eq!(pthread_getattr_default_np(attributes.as_mut_ptr()), 0);
            libc::pthread_attr_getstacksize(attributes.as_ptr(), &raw mut size);
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
        }
        assert_eq!(size, STACK_BYTES);
    }
}

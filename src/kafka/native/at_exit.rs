//! What a process that has spoken TLS by librdkafka does not do at its end.

use std::ffi::{c_int, c_void};
use std::ptr;

unsafe extern "C" {
    fn OPENSSL_init_crypto(options: u64, settings: *const c_void) -> c_int;
}

/// Keeps OpenSSL from taking its tables apart at the end of the process; call it first of all.
///
/// OpenSSL does so by `atexit`, while threads of librdkafka may still end their connections by those very tables: about
/// one `drover lag` of sixty, by TLS, ended with "double free or corruption" once it had said everything. The kernel
/// takes the memory back in any case. OpenSSL heeds whoever initialises it first; nothing else of it is, which
/// would cost two mebibytes where nobody speaks TLS.
pub fn leave_openssl_as_it_is() {
    // SAFETY: may be called at any time and from any thread, by OpenSSL's documentation; without settings it takes none.
    // It cannot fail but for want of memory, and then all is as it was.
    unsafe {
        OPENSSL_init_crypto(openssl_sys::OPENSSL_INIT_NO_ATEXIT, ptr::null());
    }
}

//! What a process that has spoken TLS by librdkafka does not do at its end.

/// Keeps OpenSSL from taking its tables apart at the end of the process; call it first of all.
///
/// OpenSSL does so by `atexit`, while threads of librdkafka may still end their connections by those very tables: about
/// one `drover lag` of sixty, by TLS, ended with "double free or corruption" once it had said everything. The kernel
/// takes the memory back in any case. OpenSSL heeds whoever initialises it first.
pub fn leave_openssl_as_it_is() {
    openssl_sys::init();
}

//! A record's headers, byte for byte.
//!
//! `rdkafka` has texts for names, and librdkafka gives names as C's texts, which end at their first zero. Kafka's protocol
//! has bytes, and anybody may write any.

use std::ffi::{CStr, c_char, c_void};
use std::mem::offset_of;
use std::ptr;

use rdkafka::bindings as rd;
use rdkafka::message::OwnedHeaders;

use super::queue::bytes;

/// How librdkafka keeps a header (`rdkafka_header.h`): what its calls give of one does not say how long the name is.
#[repr(C)]
struct Kept {
    serialized_size: usize,
    value_size: usize,
    name_size: usize,
    value: *const c_char,
    /// The first byte of a name that goes on behind it.
    name: [c_char; 1],
}

// Another librdkafka may keep them otherwise: look there before this is changed.
const _: () = assert!(rd::RD_KAFKA_VERSION == 0x020c_01ff);

/// Headers to write: names and values (None is Kafka's null) in their order.
pub fn headers(list: &[(&[u8], Option<&[u8]>)]) -> OwnedHeaders {
    let headers = OwnedHeaders::new_with_capacity(list.len());
    // The crate has no other way to librdkafka's headers than the address of what it lends.
    let raw: *const rd::rd_kafka_headers_t = ptr::from_ref(headers.as_borrowed()).cast();
    for (name, value) in list {
        let (start, size) = match value {
            Some(value) => (value.as_ptr().cast(), value.len()),
            None => (ptr::null(), 0),
        };
        // SAFETY: the headers are valid and ours alone; name and value are copied, and no slice is longer than
        // its length says. It only fails for headers that are read-only.
        unsafe {
            rd::rd_kafka_header_add(
                raw.cast_mut(),
                name.as_ptr().cast(),
                name.len().cast_signed(),
                start,
                size.cast_signed(),
            );
        }
    }
    headers
}

/// Gives each header's name and value (None is Kafka's null) in their order.
///
/// # Safety
/// `headers` must be valid for `'a`, and nobody may change them meanwhile.
pub(super) unsafe fn each<'a>(
    headers: *const rd::rd_kafka_headers_t,
    mut f: impl FnMut(&'a [u8], Option<&'a [u8]>),
) {
    for index in 0.. {
        let (mut name, mut value) = (ptr::null(), ptr::null());
        let mut size = 0;
        // SAFETY: the headers are valid; past the last one the call gives an error; name and value belong to them.
        unsafe {
            if rd::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut size)
                != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
            {
                return;
            }
            f(whole_name(name, value, size), bytes(value, size));
        }
    }
}

/// # Safety
/// All three must be what librdkafka has just given for one header that lives for `'a`.
unsafe fn whole_name<'a>(name: *const c_char, value: *const c_void, size: usize) -> &'a [u8] {
    // SAFETY: the name is the last member of a header, which librdkafka of this version keeps like this.
    let kept = unsafe { &*name.byte_sub(offset_of!(Kept, name)).cast::<Kept>() };
    debug_assert!(kept.serialized_size >= kept.name_size);
    if kept.value.cast() != value || kept.value_size != size {
        // SAFETY: a zero follows every name.
        return unsafe { CStr::from_ptr(name) }.to_bytes();
    }
    // SAFETY: so many bytes follow, and live as long as the header.
    unsafe { std::slice::from_raw_parts(name.cast(), kept.name_size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_written_and_read_byte_for_byte() {
        let long = vec![b'n'; 70_000];
        let list: [(&[u8], Option<&[u8]>); 9] = [
            (b"plain", Some(b"text")),
            (b"plain", None),
            (b"Plain", Some(b"")),
            (b"", Some(b"no name")),
            (b"", None),
            (b"\xff\xfe", Some(b"\x00\r\n")),
            (b"a\0b", Some(b"1")),
            (b"\0", None),
            (&long, Some(&long)),
        ];
        let owned = headers(&list);
        let raw: *const rd::rd_kafka_headers_t = ptr::from_ref(owned.as_borrowed()).cast();
        let mut read = Vec::new();
        // SAFETY: they live as long as `owned`, and nobody changes them.
        unsafe { each(raw, |name, value| read.push((name, value))) };
        assert_eq!(read, list);
    }
}

//! Numbers in decimal, of which each record's request has half a dozen: the formatting machinery of
//! the standard library takes several times as long.

/// Adds a number to a text.
pub fn push(to: &mut Vec<u8>, value: impl Into<i64>) {
    to.extend_from_slice(itoa::Buffer::new().format(value.into()).as_bytes());
}

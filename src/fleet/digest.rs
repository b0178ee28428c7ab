//! A short hash of texts, stable over versions and machines.

use ring::digest::{Context, SHA256};

/// The first 64 bits of SHA-256 over `parts` and their lengths, in hexadecimal.
pub fn digest<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> String {
    let bits = bits(parts);
    bits.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first 64 bits of SHA-256 over `parts` and their lengths.
pub(super) fn bits<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> [u8; 8] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        let part = part.as_ref();
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let hash = context.finish();
    let (first, _) = hash.as_ref().split_first_chunk().expect("it has 256 bits");
    *first
}

//! zlib, as Ruby's.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::Error;

/// Texts of more bytes are compressed, even where that makes them longer.
pub(super) const THRESHOLD: usize = 140;

/// A zlib stream of `bytes`. The same bytes as Ruby's, since it is the same C library.
pub(super) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing into memory does not fail")
}

/// What a zlib stream holds, if that is not more than `limit` bytes. What follows on the stream
/// is passed over, as Ruby does.
pub(super) fn inflate(stream: &[u8], limit: u64) -> Result<Vec<u8>, Error> {
    // A zlib stream has a head of its own: without one there is nothing to end.
    if stream.is_empty() {
        return Err(Error::BadCompression);
    }
    let mut bytes = Vec::new();
    // One byte more tells "as large as allowed" from "larger".
    ZlibDecoder::new(stream)
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|_| Error::BadCompression)?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { limit });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_larger_than_the_limit_is_refused_and_what_is_as_large_is_not() {
        let stream = deflate(&[0; 1000]);
        assert_eq!(inflate(&stream, 1000).unwrap().len(), 1000);
        assert_eq!(inflate(&stream, 999), Err(Error::TooLarge { limit: 999 }));
    }

    #[test]
    fn a_stream_that_is_cut_anywhere_is_refused() {
        let stream = deflate(b"some text that is compressed");
        for end in 0..stream.len() {
            assert_eq!(
                inflate(&stream[..end], 1000),
                Err(Error::BadCompression),
                "{end}"
            );
        }
    }
}

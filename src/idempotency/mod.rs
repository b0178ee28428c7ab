//! Handling a record once, although Kafka may bring it twice: keys, and the rules of claims.
//!
//! Pure. A claim is a lease with its holder's name; work done turns it into a mark that stays for
//! the retention; a failure takes it back. The stores (`store`) carry these rules out where several
//! workers can see them; their tests hold them against `lease`.

mod key;
mod lease;

pub use key::{MAX_KEY_BYTES, Missing, Source, key};
pub use lease::{Claimed, Entry, Holder, claim, confirm, release};

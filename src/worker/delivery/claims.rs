//! Whether a record was handled before: a claim before the attempt, its settling after it.
//!
//! Claims are made inside the slot, under its deadline, and may wait for a store. A claim whose attempt
//! ran out of time or was cancelled is settled as well, with that verdict; one that was dropped while
//! the store was being asked is nobody's, and ends by itself.

use super::prepare::Prepared;
use crate::engine::Verdict;

/// Who keeps book of what was handled.
#[derive(Debug)]
pub enum Claims {
    /// Nobody: every record is delivered whenever it is read.
    Off,
}

/// A claim on one record, until it is settled. There are none while nobody keeps book.
#[derive(Debug)]
pub enum Held {}

impl Claims {
    /// Claims the record for one attempt. `Ok(None)` if no claim is needed, `Err` with the verdict if
    /// it is not to be delivered now.
    pub async fn claim(&self, _prepared: &Prepared<'_>) -> Result<Option<Held>, Verdict> {
        match self {
            Self::Off => Ok(None),
        }
    }

    /// The attempt is over, with `verdict`: done for good, or to be claimed again by whoever tries next.
    pub async fn settle(&self, held: Held, _verdict: &Verdict) {
        match held {}
    }
}

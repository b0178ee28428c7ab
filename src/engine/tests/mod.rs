//! What the engine does, one claim a test, and the invariants as laws over random histories.

#![allow(
    clippy::single_range_in_vec_init,
    reason = "a list of ranges may have one"
)]

mod alone;
mod books;
mod breaker;
mod budget;
mod choice;
mod commits;
mod crowd;
mod effects;
mod exhausted;
mod given_up;
mod handover;
mod history;
mod invariants;
mod killed_crowd;
mod last_commit;
mod later;
mod liveness;
mod memory;
mod order;
mod outlived;
mod past;
mod places;
mod postponed;
mod remembered;
mod retries;
mod rig;
mod room;
mod script;
mod suspects;
mod takeover;
mod unread;
mod world;

//! What the engine does, one claim a test, and the invariants as laws over random histories.

mod books;
mod budget;
mod commits;
mod exhausted;
mod handover;
mod history;
mod invariants;
mod liveness;
mod order;
mod retries;
mod rig;
mod script;
mod speed;
mod takeover;
mod world;

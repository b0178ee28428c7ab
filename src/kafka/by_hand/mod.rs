//! What is asked of brokers without librdkafka, because it cannot ask it: a connection of our own, on which one
//! question follows the other, and the few questions.
//!
//! It is never needed: where it is not known how brokers are reached ([`way`]), or they do not answer, all goes on as
//! librdkafka alone would have it. In its words errors are told too, but for those of TLS, of which it knows too little
//! ([`handshake`]).

pub mod commit;
mod connection;
mod coordinator;
pub mod group_offsets;
pub mod handshake;
mod messages;
mod scram;
pub mod static_member;
mod way;

/// The first version of the question that names many groups.
const FIND_COORDINATOR: i16 = 4;
/// What a coordinator's key is the name of: a group.
const A_GROUP: i8 = 0;

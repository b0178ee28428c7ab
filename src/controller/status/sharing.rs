//! Who else takes records of a fleet's group, in words.

use crate::controller::fleets::FleetKey;
use crate::kafka::admin::Member;
use crate::plural::noun;

/// Members and fleets that a message names.
const NAMED: usize = 3;

/// Who else has a fleet's group.
#[derive(Clone, Debug, Default)]
pub struct Sharing<'a> {
    /// The broker has said who is in the group.
    pub is_known: bool,
    /// Members of it that are none of the fleet's pods.
    pub strangers: Vec<&'a Member>,
    /// Other fleets that have the same group and some of the same topics.
    pub rivals: Vec<FleetKey>,
    /// Partitions whose offsets other programs move.
    pub foreign: usize,
}

const REMEDY: &str =
    "what they take this fleet's handler never sees; give one of them another group, or stop it";

impl Sharing<'_> {
    pub(super) fn strangers_text(&self) -> String {
        let has = |member: &&Member| {
            let client = match member.client_id.as_str() {
                "" => "without a client id",
                id => id,
            };
            let count = member.partitions.len();
            let partitions = noun("partition", count);
            format!("{client} from {} with {count} {partitions}", member.host)
        };
        let named = named(self.strangers.iter().map(has));
        format!("the group has members that are no pods of this fleet: {named}; {REMEDY}")
    }

    pub(super) fn rivals_text(&self) -> String {
        let named = named(self.rivals.iter());
        format!("other KafkaConsumers read the same topics with the same group: {named}; {REMEDY}")
    }

    pub(super) fn foreign_text(&self) -> String {
        format!(
            "offsets of {} {} move without reports of this fleet's workers: another program commits for its group; stop it, or give it another group",
            self.foreign,
            noun("partition", self.foreign)
        )
    }
}

fn named(all: impl ExactSizeIterator<Item: ToString>) -> String {
    let more = all.len().saturating_sub(NAMED);
    let first: Vec<String> = all.take(NAMED).map(|one| one.to_string()).collect();
    match more {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

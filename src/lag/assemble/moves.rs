//! Whether another program moves a partition's offset on. Somebody who sets it by hand moves it, too.

use crate::topic::Offset;

/// Moves of a group that has members are theirs: so many, as one may be from before they came.
const OF_MEMBERS: u32 = 2;
/// Without members somebody may set it to and fro, who looks for the right place. Programs that commit for a group and
/// are not in it go on and on.
const OF_NOBODY: u32 = 5;

/// How an offset has moved without reports, since there was one or it was first read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// How often it was seen to move on.
    on: u32,
    /// That was another program.
    by_others: bool,
}

impl Moves {
    /// What one more look says, with or without members in the group. A program that reads does not go back.
    pub(super) fn and(self, from: Option<Offset>, to: Option<Offset>, has_members: bool) -> Self {
        let (Some(from), Some(to)) = (from, to) else {
            // It begins, or is forgotten.
            return self;
        };
        if to < from {
            return Self::default();
        }
        let on = self.on.saturating_add(u32::from(to > from));
        let enough = if has_members { OF_MEMBERS } else { OF_NOBODY };
        Self {
            on,
            by_others: self.by_others || on >= enough,
        }
    }

    pub(super) fn are_by_others(self) -> bool {
        self.by_others
    }

    /// Whether there are some whose origin is open: who is in the group is to be known at the next one.
    pub(super) fn are_in_doubt(self) -> bool {
        self.on > 0 && !self.by_others
    }
}

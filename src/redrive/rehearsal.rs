//! What would end a replay with an error, found out before the first letter is moved.

use std::collections::BTreeSet;

use super::letter::Letter;
use super::place::Noted;
use super::replay::Replay;

/// So many topics are looked for, and so many kinds of trouble are told: anybody may have written a header.
const TOPICS: usize = 100;
const TOLD: usize = 5;

/// What is known of letters that would be moved.
#[derive(Debug, Default)]
pub(super) struct Foreseen {
    targets: BTreeSet<String>,
    namespace: Option<String>,
    trouble: BTreeSet<String>,
}

impl Replay {
    /// Looks at a letter that would be moved.
    pub(super) fn foresee(&self, letter: &Letter<'_>, foreseen: &mut Foreseen) {
        let Foreseen {
            targets,
            namespace,
            trouble,
        } = foreseen;
        let checked = self
            .may_be_retried(letter)
            .and_then(|()| self.is_of_one_namespace(letter, namespace));
        if let Err(error) = checked
            && trouble.len() < TOLD
        {
            trouble.insert(format!("{error:#}"));
        }
        let target = self.destination(letter).filter(|_| targets.len() < TOPICS);
        if let Some(target) = target.filter(|target| !targets.contains(target.as_ref())) {
            targets.insert(target.into_owned());
        }
    }

    /// What would end the replay, by all letters: `is_shared` says that there are other consumers' among them.
    pub(super) fn foreseen(
        &self,
        foreseen: Foreseen,
        noted: &Noted,
        is_shared: bool,
    ) -> Vec<String> {
        let Foreseen {
            mut targets,
            mut trouble,
            ..
        } = foreseen;
        targets.extend(self.for_all().map(str::to_owned));
        for target in &targets {
            if trouble.len() >= TOLD {
                break;
            }
            trouble.extend(self.target(target).err().map(|error| format!("{error:#}")));
        }
        trouble.extend(self.without_room(noted, is_shared));
        trouble.into_iter().collect()
    }

    /// Why what was moved could not be noted; none where it can.
    fn without_room(&self, noted: &Noted, is_shared: bool) -> Option<String> {
        let kind = match is_shared {
            true => self.kind.clone(),
            false => self.kind.of_all(),
        };
        let full = self.log.iter().find(|&(number, range)| {
            let mut marks = noted.get(number).cloned().flatten().unwrap_or_default();
            marks.advance(&kind, range.end, range.start);
            let offset = marks.offset(range.start);
            marks.write(offset, self.life.as_deref()).is_none()
        });
        full.map(|(&number, _)| format!("{:#}", self.no_room(number)))
    }
}

//! Children that somebody else changes as often as they are put right: two controllers for one namespace, say. Who
//! answers each change with another rolls the pods until somebody looks; this answers ever later.

use std::collections::BTreeMap;
use std::time::Duration;

use super::children::Correction;
use super::status::Trouble;

/// So many corrections of the same thing in a row are made at once.
const AT_ONCE: u32 = 5;
/// Then the next one comes after this, doubled each time.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);
/// A correction that is so long after the last one is not in a row with it.
const CALM: Duration = Duration::from_secs(600);

/// Corrections in a row of one fleet. Times are on the monotonic clock.
#[derive(Clone, Debug, Default)]
pub struct Contest {
    /// Of each object and field: who changes one thing after the other does not fight about any.
    corrections: BTreeMap<String, u32>,
    last: Duration,
    generation: Option<i64>,
}

impl Contest {
    /// Children of this `generation` of the resource were put right. What is to be told of it, if it was one time too
    /// many.
    pub fn corrected(
        &mut self,
        corrections: &[Correction],
        generation: Option<i64>,
        now: Duration,
    ) -> Option<Trouble> {
        if corrections.is_empty() {
            return None;
        }
        if now.saturating_sub(self.last) >= CALM || self.generation != generation {
            self.corrections.clear();
        }
        self.last = now;
        self.generation = generation;
        for Correction { kind, fields } in corrections {
            let field = fields.first().map_or("it was deleted", String::as_str);
            let times = self.corrections.entry(format!("{kind}: {field}"));
            let times = times.or_default();
            *times = times.saturating_add(1);
        }
        (self.times() > AT_ONCE).then(|| self.trouble())
    }

    /// For how long nothing is put right, and what is told meanwhile. A resource of another `generation` is not made
    /// to wait.
    pub fn rest(&self, generation: Option<i64>, now: Duration) -> Option<(Duration, Trouble)> {
        let doublings = self.times().checked_sub(AT_ONCE)?.min(10);
        if self.generation != generation {
            return None;
        }
        let wait = FIRST.saturating_mul(1 << doublings).min(LONGEST);
        let rest = (self.last + wait).checked_sub(now)?;
        (!rest.is_zero()).then(|| (rest, self.trouble()))
    }

    /// How often in a row what was put right most often was.
    fn times(&self) -> u32 {
        self.corrections.values().copied().max().unwrap_or_default()
    }

    fn trouble(&self) -> Trouble {
        let again = self
            .corrections
            .iter()
            .filter(|(_, times)| **times >= AT_ONCE);
        let again: Vec<&str> = again.map(|(what, _)| what.as_str()).collect();
        let what = again.join(", ");
        Trouble {
            reason: "Contested",
            message: format!(
                "somebody else changes it as often as it is put right ({what}), so that is done once a minute at most; two installations of Drover must not look after one namespace, nor another tool set what spec.template sets: drover doctor says whether two of them lead, kubectl get -o yaml --show-managed-fields of the child who else sets it"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATION: Option<i64> = Some(1);

    fn correction() -> Vec<Correction> {
        vec![Correction {
            kind: "Deployment",
            fields: vec!["spec.template.spec.containers[worker].image".to_owned()],
        }]
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn now_and_then_somebody_changes_something() {
        let mut contest = Contest::default();
        for day in 1..100 {
            let now = at(day * 86_400);
            assert!(contest.corrected(&correction(), GENERATION, now).is_none());
            assert!(contest.rest(GENERATION, now).is_none());
        }
    }

    #[test]
    fn who_changes_it_each_time_is_answered_ever_later_and_told() {
        let mut contest = Contest::default();
        let (mut now, mut made) = (Duration::ZERO, 0);
        while now < at(3600) {
            match contest.rest(GENERATION, now) {
                Some((rest, trouble)) => {
                    assert!(rest <= LONGEST && !rest.is_zero());
                    assert!(trouble.message.contains("[worker].image"), "{trouble:?}");
                    now += rest;
                }
                None => {
                    let told = contest.corrected(&correction(), GENERATION, now);
                    made += 1;
                    assert_eq!(told.is_some(), made > AT_ONCE);
                    now += Duration::from_millis(100);
                }
            }
        }
        assert!((60..75).contains(&made), "{made} in an hour");
    }

    /// Somebody cleans up, say: each is put right once, and nobody changes it again.
    #[test]
    fn who_changes_one_thing_after_the_other_does_not_fight() {
        let mut contest = Contest::default();
        for field in 0..20 {
            let one = Correction {
                kind: "Deployment",
                fields: vec![format!("metadata.labels[{field}]")],
            };
            assert!(contest.corrected(&[one], GENERATION, at(1000)).is_none());
            assert!(contest.rest(GENERATION, at(1000)).is_none());
        }
    }

    #[test]
    fn another_spec_is_applied_at_once_and_calm_is_forgiven() {
        let mut contest = Contest::default();
        for _ in 0..20 {
            contest.corrected(&correction(), GENERATION, at(1000));
        }
        assert!(contest.rest(GENERATION, at(1001)).is_some());
        assert!(contest.rest(Some(2), at(1001)).is_none());
        assert!(contest.corrected(&[], GENERATION, at(1001)).is_none());
        let later = at(1000) + CALM;
        assert!(
            contest
                .corrected(&correction(), GENERATION, later)
                .is_none()
        );
        assert!(contest.rest(GENERATION, later).is_none());
    }
}

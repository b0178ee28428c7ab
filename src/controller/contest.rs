//! Children that somebody else changes as often as they are put right: two controllers for one namespace, say. Who
//! answers each change with another rolls the pods until somebody looks; this answers ever later.

use std::time::Duration;

use super::children::Correction;
use super::status::Trouble;

/// So many corrections in a row are made at once.
const AT_ONCE: u32 = 5;
/// Then the next one comes after this, doubled each time.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(60);
/// A correction that is so long after the last one is not in a row with it.
const CALM: Duration = Duration::from_secs(600);

/// Corrections in a row of one fleet. Times are on the monotonic clock.
#[derive(Clone, Debug, Default)]
pub struct Contest {
    corrections: u32,
    last: Duration,
    generation: Option<i64>,
    what: String,
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
            self.corrections = 0;
        }
        self.corrections = self.corrections.saturating_add(1);
        self.last = now;
        self.generation = generation;
        let said = corrections.iter().map(|Correction { kind, fields }| {
            let field = fields.first().map_or("it was deleted", String::as_str);
            format!("{kind}: {field}")
        });
        self.what = said.collect::<Vec<_>>().join(", ");
        (self.corrections > AT_ONCE).then(|| self.trouble())
    }

    /// For how long nothing is put right, and what is told meanwhile. A resource of another `generation` is not made
    /// to wait.
    pub fn rest(&self, generation: Option<i64>, now: Duration) -> Option<(Duration, Trouble)> {
        if self.generation != generation || self.corrections < AT_ONCE {
            return None;
        }
        let doublings = (self.corrections - AT_ONCE).min(10);
        let wait = FIRST.saturating_mul(1 << doublings).min(LONGEST);
        let rest = (self.last + wait).checked_sub(now)?;
        (!rest.is_zero()).then(|| (rest, self.trouble()))
    }

    fn trouble(&self) -> Trouble {
        let Self { what, .. } = self;
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

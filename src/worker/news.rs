//! Which of many changes deserve a log line: what comes and goes with each record would fill the log.

use std::time::Duration;

/// So many changes are told in a minute.
const MOST: u32 = 10;
/// Then the next one, with how many there were, when this is over.
const WINDOW: Duration = Duration::from_secs(60);

/// The changes of one thing. Times count from any start.
#[derive(Debug, Default)]
pub(super) struct News {
    since: Duration,
    told: u32,
    untold: u32,
}

impl News {
    /// It changed. How many changes before this one were not told, if this one is to be.
    pub fn change(&mut self, now: Duration) -> Option<u32> {
        if now.saturating_sub(self.since) >= WINDOW {
            self.since = now;
            self.told = 0;
        }
        if self.told == MOST {
            self.untold += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.untold))
    }

    /// How many changes were not told, if it is time to say how it stands after them.
    pub fn overdue(&mut self, now: Duration) -> Option<u32> {
        let is_due = self.untold > 0 && now.saturating_sub(self.since) >= WINDOW;
        is_due.then(|| self.change(now)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_few_changes_are_all_told() {
        let mut news = News::default();
        for hour in 0..100 {
            for second in 0..u64::from(MOST) {
                assert_eq!(news.change(at(3600 * hour + second)), Some(0));
            }
        }
        assert_eq!(news.overdue(at(1_000_000)), None);
    }

    #[test]
    fn of_many_the_rest_is_counted_and_how_it_stands_is_told_within_a_minute() {
        let mut news = News::default();
        let told = (0..1000).filter(|_| news.change(at(5)).is_some()).count();
        assert_eq!(told, MOST as usize);
        assert_eq!(news.overdue(at(59)), None);
        assert_eq!(news.overdue(at(60)), Some(1000 - MOST));
        assert_eq!(news.overdue(at(200)), None, "it was told");
        assert_eq!(news.change(at(201)), Some(0));
    }

    #[test]
    fn the_next_change_after_a_minute_says_how_many_there_were() {
        let mut news = News::default();
        for _ in 0..MOST + 3 {
            news.change(at(1));
        }
        assert_eq!(news.change(at(61)), Some(3));
        assert_eq!(news.change(at(62)), Some(0));
    }
}

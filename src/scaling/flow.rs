//! A running total over time, and its rate over any stretch that it remembers.

use std::collections::VecDeque;

use jiff::Timestamp;

/// How far back a flow remembers, seconds. Two minutes of look-back over one-minute averages, and
/// five minutes for what a fleet's size is held against.
const KEEP: f64 = 310.0;
/// Points closer than this are merged, seconds.
const SPACING: f64 = 1.0;

/// Records counted over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Flow {
    /// Time and total, both ascending.
    points: VecDeque<(Timestamp, f64)>,
}

impl Flow {
    /// `count` more records by `at`. The first call only begins the count.
    pub(super) fn add(&mut self, at: Timestamp, count: f64) {
        let Some(&(last_at, total)) = self.points.back() else {
            self.points.push_back((at, 0.0));
            return;
        };
        if at <= last_at {
            return;
        }
        let len = self.points.len();
        let close = len >= 2 && seconds(self.points[len - 2].0, at) < SPACING;
        if close {
            self.points.pop_back();
        }
        self.points.push_back((at, total + count.max(0.0)));
        while self.points.len() > 2 && seconds(self.points[1].0, at) > KEEP {
            self.points.pop_front();
        }
    }

    /// The newest point's time.
    pub(super) fn last(&self) -> Option<Timestamp> {
        self.points.back().map(|point| point.0)
    }

    /// Seconds from the first point that is remembered to the last.
    pub(super) fn span(&self) -> f64 {
        match (self.points.front(), self.points.back()) {
            (Some(first), Some(last)) => seconds(first.0, last.0),
            _ => 0.0,
        }
    }

    /// Records counted so far.
    pub(super) fn total(&self) -> f64 {
        self.points.back().map_or(0.0, |point| point.1)
    }

    /// Records per second over the last `window` seconds; over what there is, but at least
    /// `at_least` seconds, where the memory is shorter.
    pub(super) fn rate(&self, window: f64, at_least: f64) -> Option<f64> {
        let span = self.span();
        if span <= 0.0 {
            return None;
        }
        let stretch = window.min(span);
        Some((self.total() - self.total_before(stretch)) / stretch.max(at_least))
    }

    /// Records within the last `stretch` seconds.
    pub(super) fn within(&self, stretch: f64) -> f64 {
        self.total() - self.total_before(stretch)
    }

    /// Records per second over the last `window` seconds without the stretch that brought the most: a
    /// batch is no rate. None where the memory is shorter.
    pub(super) fn rate_without_batch(&self, window: f64) -> Option<f64> {
        let last = self.last()?;
        if self.span() < window {
            return None;
        }
        let old = self
            .points
            .partition_point(|&(at, _)| seconds(at, last) > window);
        let points = self.points.range(old.saturating_sub(1)..);
        let stretches = points.clone().zip(points.skip(1));
        let (mut all, mut time, mut most) = (0.0, 0.0, (0.0, 0.0));
        for (before, after) in stretches {
            let (records, stretch) = (after.1 - before.1, seconds(before.0, after.0));
            all += records;
            time += stretch;
            if records > most.0 {
                most = (records, stretch);
            }
        }
        let rest = (all - most.0) / (time - most.1).max(1e-3);
        let usual = rest * most.1;
        let batch = most.0 > 3.0 * usual + 4.0 * usual.sqrt() + 10.0;
        Some(if batch { rest } else { all / time })
    }

    /// The highest average over `window` seconds among those that ended in the last `look_back`
    /// seconds; none where the memory is shorter than one window.
    pub(super) fn peak(&self, window: f64, look_back: f64) -> Option<f64> {
        let span = self.span();
        if span < window {
            return None;
        }
        let mut peak: f64 = 0.0;
        let mut back = 0.0;
        while back <= look_back && back + window <= span {
            let average = (self.total_before(back) - self.total_before(back + window)) / window;
            peak = peak.max(average);
            back += window / 6.0;
        }
        Some(peak)
    }

    /// The largest backlog that the last `look_back` seconds would have left to pods that do
    /// `capacity` records per second.
    pub(super) fn replay(&self, capacity: f64, look_back: f64) -> f64 {
        let Some(last) = self.last() else {
            return 0.0;
        };
        let (mut backlog, mut worst): (f64, f64) = (0.0, 0.0);
        let old = self
            .points
            .partition_point(|&(at, _)| seconds(at, last) > look_back);
        let points = self.points.range(old..);
        for (before, after) in points.clone().zip(points.skip(1)) {
            let done = capacity * seconds(before.0, after.0);
            backlog = (backlog + after.1 - before.1 - done).max(0.0);
            worst = worst.max(backlog);
        }
        worst
    }

    /// The total at `seconds_ago` before the last point, interpolated.
    fn total_before(&self, seconds_ago: f64) -> f64 {
        let Some(&(last_at, last_total)) = self.points.back() else {
            return 0.0;
        };
        let since = |place: usize| {
            let (at, total) = self.points[place];
            (seconds(at, last_at), total)
        };
        let old = self
            .points
            .partition_point(|&(at, _)| seconds(at, last_at) >= seconds_ago);
        let Some(before) = old.checked_sub(1).map(since) else {
            return since(0).1;
        };
        let after = if old < self.points.len() {
            since(old)
        } else {
            (0.0, last_total)
        };
        let stretch = before.0 - after.0;
        if stretch <= 0.0 {
            return before.1;
        }
        after.1 + (before.1 - after.1) * (seconds_ago - after.0) / stretch
    }
}

/// Seconds from `earlier` to `later`, never negative.
pub(super) fn seconds(earlier: Timestamp, later: Timestamp) -> f64 {
    // Asked for thousands of times in a step.
    let whole = (later.as_second() - earlier.as_second()) as f64;
    let nanoseconds = later.subsec_nanosecond() - earlier.subsec_nanosecond();
    (whole + f64::from(nanoseconds) * 1e-9).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn rate_is_interpolated_inside_the_window() {
        let mut flow = Flow::default();
        for second in 0..=100 {
            flow.add(at(second * 1000), if second > 90 { 50.0 } else { 10.0 });
        }
        assert!((flow.rate(10.0, 1.0).unwrap() - 50.0).abs() < 1e-9);
        assert!((flow.rate(20.0, 1.0).unwrap() - 30.0).abs() < 1e-9);
        assert!((flow.peak(60.0, 60.0).unwrap() - (10.0 * 50.0 + 50.0 * 10.0) / 60.0).abs() < 1e-9);
    }

    #[test]
    fn short_memory_gives_no_peak_and_old_points_go() {
        let mut flow = Flow::default();
        flow.add(at(0), 5.0);
        assert_eq!(flow.rate(10.0, 1.0), None);
        for step in 1..5000 {
            flow.add(at(step * 100), 1.0);
            assert!(flow.peak(60.0, 60.0).is_none() || step >= 600);
        }
        assert!(flow.points.len() < 400, "{}", flow.points.len());
        assert!((flow.rate(15.0, 1.0).unwrap() - 10.0).abs() < 0.01);
    }
}

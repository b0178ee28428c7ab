//! Rounding, so that noise is not news.

use std::time::Duration;

use crate::api::Span;

/// A rate to two significant digits, at least a tenth exact.
pub(super) fn rate(per_second: f64) -> f64 {
    significant(per_second, 2)
}

/// A time to half seconds.
pub(super) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 2.0).round() / 2.0
}

/// A delay as people read it: whole seconds, from ten minutes on whole minutes.
pub(super) fn delay(delay: Duration) -> String {
    let seconds = delay.as_secs();
    let shown = if seconds >= 600 {
        seconds - seconds % 60
    } else {
        seconds
    };
    Span::secs(shown).to_string()
}

fn significant(value: f64, digits: i32) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return 0.0;
    }
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = digits - 1 - magnitude;
    if decimals > 1 {
        return (value * 10.0).round() / 10.0;
    }
    if decimals >= 0 {
        let scale = 10f64.powi(decimals);
        (value * scale).round() / scale
    } else {
        let scale = 10f64.powi(-decimals);
        (value / scale).round() * scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_what_matters() {
        for (exact, rounded) in [
            (0.0, 0.0),
            (0.04, 0.0),
            (0.26, 0.3),
            (3.146, 3.1),
            (199.6, 200.0),
            (1_234.0, 1_200.0),
        ] {
            assert_eq!(rate(exact), rounded, "{exact}");
        }
        assert_eq!(seconds(Duration::from_millis(2_740)), 2.5);
        assert_eq!(delay(Duration::from_millis(12_900)), "12s");
        assert_eq!(delay(Duration::from_secs(3_725)), "1h2m");
        assert_eq!(delay(Duration::ZERO), "0s");
    }
}

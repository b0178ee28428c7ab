//! The policies that are tried side by side, with the settings of each.

use super::controller::Controller;
use super::keda::{Keda, Tuning};
use super::planner::Drover;
use super::setup::Setup;

/// A policy that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Drover's own, told nothing but the promise.
    Drover,
    /// KEDA's trigger `kafka` with KEDA's and the HPA's defaults.
    KedaLag,
    /// The same with the threshold and window that `make tune-keda` found for a promise of a minute.
    KedaLagTuned,
    /// A second trigger on the rate of arrivals, by rule of thumb.
    KedaRate,
    /// The same with the thresholds and windows that `make tune-keda` found.
    KedaRateTuned,
}

impl Contender {
    /// All of them, as they are shown.
    pub const ALL: [Self; 5] = [
        Self::Drover,
        Self::KedaLag,
        Self::KedaLagTuned,
        Self::KedaRate,
        Self::KedaRateTuned,
    ];

    /// Its name on the command line and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Drover => "drover",
            Self::KedaLag => "keda-lag",
            Self::KedaLagTuned => "keda-lag-tuned",
            Self::KedaRate => "keda-rate",
            Self::KedaRateTuned => "keda-rate-tuned",
        }
    }

    /// What it is, in a few words.
    pub fn about(self) -> &'static str {
        match self {
            Self::Drover => "Drover, which is told the promise and measures the rest",
            Self::KedaLag => "KEDA on lag, its defaults: ten records for each pod",
            Self::KedaLagTuned => {
                "KEDA on lag, tuned for a promise of a minute: 3 s of a pod's work for each pod"
            }
            Self::KedaRate => "KEDA on arrivals at 80 % of a pod and on lag of half the promise",
            Self::KedaRateTuned => {
                "KEDA on arrivals at 70 % of a pod and on lag, tuned for a promise of a minute"
            }
        }
    }

    /// What a user of KEDA sets; none for Drover. All but the defaults know exactly what a pod can
    /// do, a gift. The tuned ones are what `make tune-keda` marks on the loads of `tests/traces`: the
    /// fewest pods of those that break a promise of a minute for no more than 0.2 % of the time.
    fn tuning(self, setup: &Setup) -> Option<Tuning> {
        let defaults = Tuning::default();
        Some(match self {
            Self::Drover => return None,
            Self::KedaLag => defaults,
            Self::KedaLagTuned => Tuning {
                lag_seconds: Some(3.0),
                down_window: Some(120.0),
                ..defaults
            },
            Self::KedaRate => Tuning {
                lag_seconds: Some(setup.promise / 2.0),
                rate_share: Some(0.8),
                ..defaults
            },
            Self::KedaRateTuned => Tuning {
                lag_seconds: Some(7.0),
                rate_share: Some(0.7),
                rate_window: 120.0,
                down_window: Some(120.0),
                ..defaults
            },
        })
    }

    /// It, ready to be tried.
    pub fn controller(self, setup: &Setup) -> Box<dyn Controller + Send> {
        match self.tuning(setup) {
            None => Box::new(Drover::new(setup)),
            Some(tuning) => Box::new(Keda::new(setup, &tuning)),
        }
    }
}

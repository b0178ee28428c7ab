//! The HorizontalPodAutoscaler as Kubernetes' controller manager computes it, for external
//! metrics.
//!
//! After `replica_calculator.go` and `horizontal.go` of Kubernetes 1.33: tolerance, recommendations
//! of the past, rate limits, each in its order.

/// Changes by less than this share are none.
const TOLERANCE: f64 = 0.1;
/// The recommendations of so long ago hold a fleet up where no behaviour is given, seconds.
const DOWN_WINDOW: f64 = 300.0;
/// Where no behaviour is given a fleet grows to twice its size or to this.
const GROWS_TO: u32 = 4;

/// `spec` of a HorizontalPodAutoscaler, as KEDA generates it.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Pods at least.
    pub min: u32,
    /// Pods at most.
    pub max: u32,
    /// `spec.behavior`; without it the old rules hold.
    pub behavior: Option<Behavior>,
}

/// `spec.behavior`, with the defaults of what is not given.
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    /// Growing.
    pub up: Rules,
    /// Shrinking.
    pub down: Rules,
}

/// `scaleUp` or `scaleDown`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// `stabilizationWindowSeconds`.
    pub window: f64,
    /// `selectPolicy`.
    pub select: Select,
    /// `policies`.
    pub policies: Vec<Limit>,
    /// `tolerance`.
    pub tolerance: f64,
}

/// `selectPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// The policy that allows the largest change.
    Max,
    /// The one that allows the smallest.
    Min,
    /// No change in this direction.
    Disabled,
}

/// One of `policies`: how much may change within `period` seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// `type: Pods`.
    Pods {
        /// So many,
        value: u32,
        /// in so many seconds.
        period: f64,
    },
    /// `type: Percent`.
    Percent {
        /// So many in a hundred,
        value: u32,
        /// in so many seconds.
        period: f64,
    },
}

impl Default for Behavior {
    fn default() -> Self {
        let percent = Limit::Percent {
            value: 100,
            period: 15.0,
        };
        let pods = Limit::Pods {
            value: 4,
            period: 15.0,
        };
        let rules = |window, policies| Rules {
            window,
            select: Select::Max,
            policies,
            tolerance: TOLERANCE,
        };
        Self {
            up: rules(0.0, vec![pods, percent]),
            down: rules(300.0, vec![percent]),
        }
    }
}

/// An external metric and its target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// What was read; none where reading failed.
    pub value: Option<f64>,
    /// What it is held against.
    pub target: Target,
}

/// `target` of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// `type: AverageValue`: so much for each pod.
    AverageValue(f64),
    /// `type: Value`: so much in all.
    Value(f64),
}

/// The scale subresource, as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// `spec.replicas`.
    pub spec: u32,
    /// `status.replicas`.
    pub status: u32,
    /// Pods that are ready, those that are leaving included.
    pub ready: u32,
}

/// A HorizontalPodAutoscaler: its spec, and what the controller manager remembers of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hpa {
    spec: Spec,
    /// When, and what was wanted before anything stabilised or limited it.
    recommendations: Vec<(f64, u32)>,
    /// When, and by how many pods the fleet grew,
    ups: Vec<(f64, u32)>,
    /// or shrank.
    downs: Vec<(f64, u32)>,
}

impl Hpa {
    /// One that the controller manager sees for the first time.
    pub fn new(spec: Spec) -> Self {
        Self {
            spec,
            recommendations: Vec::new(),
            ups: Vec::new(),
            downs: Vec::new(),
        }
    }

    /// The controller manager is another one, which remembers nothing.
    pub fn forget(&mut self) {
        *self = Self::new(self.spec.clone());
    }

    /// One sync at `now`, seconds: the `spec.replicas` to write; none where it stays.
    pub fn sync(&mut self, now: f64, scale: Scale, metrics: &[Metric]) -> Option<u32> {
        let n = scale.spec;
        if n == 0 && self.spec.min != 0 {
            // Somebody has switched it off.
            return None;
        }
        if self.recommendations.is_empty() {
            self.recommendations.push((now, n));
        }
        let wanted = if n > self.spec.max {
            self.spec.max
        } else if n < self.spec.min {
            self.spec.min
        } else {
            let raw = self.raw(scale, metrics)?;
            match self.spec.behavior.clone() {
                None => self.by_default(now, n, raw),
                Some(behavior) => self.by_behavior(now, n, raw, &behavior),
            }
        };
        (wanted != n).then(|| {
            let events = if wanted > n {
                &mut self.ups
            } else {
                &mut self.downs
            };
            events.push((now, wanted.abs_diff(n)));
            wanted
        })
    }

    /// The largest of what the metrics want; none where that is not known well enough.
    fn raw(&self, scale: Scale, metrics: &[Metric]) -> Option<u32> {
        let wanted = metrics.iter().filter_map(|metric| {
            let value = metric.value?;
            Some(self.proposal(scale, value, metric.target))
        });
        let failed = metrics.iter().any(|metric| metric.value.is_none());
        // What could not be read might have wanted more.
        wanted.max().filter(|&raw| !failed || raw >= scale.spec)
    }

    fn proposal(&self, scale: Scale, value: f64, target: Target) -> u32 {
        let (up, down) = match &self.spec.behavior {
            Some(behavior) => (behavior.up.tolerance, behavior.down.tolerance),
            None => (TOLERANCE, TOLERANCE),
        };
        let within = |ratio: f64| (1.0 - down..=1.0 + up).contains(&ratio);
        match target {
            Target::AverageValue(target) => {
                // Of no pods there is no average: the ratio is no number, and not within.
                let ratio = value / (target * f64::from(scale.status));
                if within(ratio) {
                    scale.status
                } else {
                    ceil(value / target)
                }
            }
            Target::Value(target) => {
                let ratio = value / target;
                if within(ratio) {
                    scale.spec
                } else {
                    ceil(ratio * f64::from(scale.ready))
                }
            }
        }
    }

    /// Without `spec.behavior`: the highest recommendation of five minutes, and growth to twice
    /// the size or four.
    fn by_default(&mut self, now: f64, n: u32, raw: u32) -> u32 {
        let highest = self.extreme(now, DOWN_WINDOW, raw, u32::max);
        self.remember(now, raw, DOWN_WINDOW);
        let limit = (2 * n).max(GROWS_TO);
        highest.clamp(self.spec.min, self.spec.max.min(limit).max(self.spec.min))
    }

    fn by_behavior(&mut self, now: f64, n: u32, raw: u32, behavior: &Behavior) -> u32 {
        let (up, down) = (&behavior.up, &behavior.down);
        let low = self.extreme(now, up.window, raw, u32::min);
        let high = self.extreme(now, down.window, raw, u32::max);
        self.remember(now, raw, up.window.max(down.window));
        let mut stable = n;
        if stable < low {
            stable = low;
        }
        if stable > high {
            stable = high;
        }
        if stable > n {
            let limit = self.limit_up(now, n, up);
            stable.min(self.spec.max).min(limit.max(n))
        } else if stable < n {
            let limit = self.limit_down(now, n, down);
            stable.max(self.spec.min).max(limit.min(n))
        } else {
            n
        }
    }

    /// `raw` or the recommendation of the last `window` seconds that is furthest from it.
    fn extreme(&self, now: f64, window: f64, raw: u32, which: fn(u32, u32) -> u32) -> u32 {
        let recent = self.recommendations.iter();
        let recent = recent.filter(|(at, _)| now - at < window);
        recent.fold(raw, |extreme, (_, raw)| which(extreme, *raw))
    }

    fn remember(&mut self, now: f64, raw: u32, window: f64) {
        self.recommendations.retain(|(at, _)| now - at < window);
        self.recommendations.push((now, raw));
    }

    fn limit_up(&self, now: f64, n: u32, rules: &Rules) -> u32 {
        let candidates = rules.policies.iter().map(|policy| {
            let base = self.base(now, n, policy.period());
            match *policy {
                Limit::Pods { value, .. } => base.saturating_add(value),
                Limit::Percent { value, .. } => {
                    (f64::from(base) * (1.0 + f64::from(value) / 100.0)).ceil() as u32
                }
            }
        });
        match rules.select {
            Select::Disabled => n,
            Select::Max => candidates.max().unwrap_or(n),
            Select::Min => candidates.min().unwrap_or(n),
        }
    }

    fn limit_down(&self, now: f64, n: u32, rules: &Rules) -> u32 {
        let candidates = rules.policies.iter().map(|policy| {
            let base = self.base(now, n, policy.period());
            match *policy {
                Limit::Pods { value, .. } => base.saturating_sub(value),
                Limit::Percent { value, .. } => {
                    (f64::from(base) * (1.0 - f64::from(value) / 100.0))
                        .trunc()
                        .max(0.0) as u32
                }
            }
        });
        // The largest change is to the smallest size.
        match rules.select {
            Select::Disabled => n,
            Select::Max => candidates.min().unwrap_or(n),
            Select::Min => candidates.max().unwrap_or(n),
        }
    }

    /// The size at the beginning of the last `period` seconds, as far as this HPA changed it.
    fn base(&self, now: f64, n: u32, period: f64) -> u32 {
        let within = |events: &[(f64, u32)]| -> u32 {
            let recent = events.iter().filter(|(at, _)| now - at < period);
            recent.map(|(_, pods)| pods).sum()
        };
        (n + within(&self.downs)).saturating_sub(within(&self.ups))
    }
}

impl Limit {
    fn period(self) -> f64 {
        match self {
            Self::Pods { period, .. } | Self::Percent { period, .. } => period,
        }
    }
}

/// Metrics have three decimals, so what is nearer to a whole number than that is one.
fn ceil(value: f64) -> u32 {
    (value - 1e-9).ceil().clamp(0.0, f64::from(u32::MAX)) as u32
}

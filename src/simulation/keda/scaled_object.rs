//! A ScaledObject: from nothing to the first pod and back, and what stands in for a metric that
//! cannot be read.
//!
//! After KEDA 2.20's `scale_scaledobjects.go` and `fallback.go`. Between one pod and the most it is
//! the HPA that decides.

/// `spec` of a ScaledObject.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// `minReplicaCount`.
    pub min: u32,
    /// `maxReplicaCount`.
    pub max: u32,
    /// `idleReplicaCount`.
    pub idle: Option<u32>,
    /// `cooldownPeriod`, seconds.
    pub cooldown: f64,
    /// `initialCooldownPeriod`, seconds.
    pub initial_cooldown: f64,
    /// `fallback`.
    pub fallback: Option<Fallback>,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            min: 0,
            max: 100,
            idle: None,
            cooldown: 300.0,
            initial_cooldown: 0.0,
            fallback: None,
        }
    }
}

/// `fallback`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// `failureThreshold`.
    pub failure_threshold: u32,
    /// `replicas`.
    pub replicas: u32,
    /// `behavior`.
    pub behavior: FallbackBehavior,
}

/// `fallback.behavior`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackBehavior {
    /// `static`.
    Static,
    /// `currentReplicas`.
    CurrentReplicas,
    /// `currentReplicasIfHigher`.
    CurrentReplicasIfHigher,
    /// `currentReplicasIfLower`.
    CurrentReplicasIfLower,
}

/// A ScaledObject and what its status remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaledObject {
    spec: Spec,
    created: f64,
    last_active: Option<f64>,
    failures: u32,
}

impl ScaledObject {
    /// One that is created at `now`, seconds.
    pub fn new(spec: Spec, now: f64) -> Self {
        Self {
            spec,
            created: now,
            last_active: None,
            failures: 0,
        }
    }

    /// `minReplicas` of the HPA that KEDA makes.
    pub fn hpa_min(&self) -> u32 {
        self.spec.min.max(1)
    }

    /// Counts a reading. Both clocks come here: the scale loop and the HPA's questions.
    pub fn count(&mut self, failed: bool) {
        self.failures = if failed { self.failures + 1 } else { 0 };
    }

    /// The pods that stand in for a metric after too many failures in a row.
    pub fn falls_back_to(&self, current: u32) -> Option<u32> {
        let fallback = self.spec.fallback?;
        (self.failures > fallback.failure_threshold).then(|| match fallback.behavior {
            FallbackBehavior::Static => fallback.replicas,
            FallbackBehavior::CurrentReplicas => current,
            FallbackBehavior::CurrentReplicasIfHigher => fallback.replicas.max(current),
            FallbackBehavior::CurrentReplicasIfLower => fallback.replicas.min(current),
        })
    }

    /// One turn of the scale loop: `active` is none where reading failed. Gives the
    /// `spec.replicas` to write.
    pub fn poll(&mut self, now: f64, n: u32, active: Option<bool>) -> Option<u32> {
        let spec = &self.spec;
        // A trigger in fallback counts as active.
        let falls_back = active.is_none() && self.falls_back_to(n).is_some();
        if active == Some(true) || falls_back {
            if n == 0 || (spec.idle.is_some() && n < spec.min) {
                self.last_active = Some(now);
                return Some(spec.min.max(1));
            }
            if active == Some(true) {
                self.last_active = Some(now);
            }
            return None;
        }
        // Nothing is known.
        active?;
        let idle = spec.idle.unwrap_or(0);
        let may_sleep = match spec.idle {
            Some(idle) => n > idle,
            None => n > 0 && spec.min == 0,
        };
        if may_sleep {
            let asleep_after = match self.last_active {
                Some(last) => last + spec.cooldown,
                None => self.created + spec.initial_cooldown,
            };
            return (asleep_after < now).then_some(idle);
        }
        (spec.idle.is_none() && n < spec.min).then_some(spec.min)
    }
}

//! What is done of what was decided.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::api::apps::v1::Deployment;
use kube::ResourceExt;

use super::{MOMENT, Run, is_owned, read};
use crate::api::ScalingMode;
use crate::controller::apply::{Applied, apply};
use crate::controller::fleets::{FleetMemory, Refusal, Seen};
use crate::controller::resized;
use crate::controller::scale::{Scaled, offer, scale, why};
use crate::controller::size;
use crate::fleet::Fleet;
use crate::k8s::apply::version_of;

impl Run<'_> {
    /// Children first, then their number. A child that cannot be applied does not keep the size
    /// of a Deployment that is ours from following the load.
    pub(super) async fn act(&mut self, fleet: &Fleet, memory: &mut FleetMemory) {
        let Self {
            context, observed, ..
        } = *self;
        // Before anything else: a new template of a fleet that is to stop would have a pod made of it.
        if fleet.paused && !self.stop(memory).await {
            return;
        }
        let applied = match self.keeps_template {
            true => None,
            false => self.apply(fleet, memory).await,
        };
        let observed_deployment = || observed.deployment.as_deref().cloned();
        let deployment = applied.or_else(observed_deployment);
        let Some(deployment) = deployment.filter(|deployment| is_owned(deployment, &fleet.uid))
        else {
            return;
        };
        let unset = fleet.mode == ScalingMode::External && fleet.manual_replicas.is_none();
        if unset && !fleet.paused {
            let size = self.workload.as_ref().map(|workload| workload.size);
            let first = size::first_choice(fleet, size);
            if let Err(error) = offer(context, self.consumer, first).await {
                self.failed(&error, memory);
            }
        }
        self.carry_out(deployment, memory).await;
    }

    /// Stops a fleet, if that is what its spec says, be it good otherwise or not: who wants it stopped has mostly seen why.
    /// Returns whether it is known then that no pod of it is ordered.
    pub(super) async fn stop(&mut self, memory: &mut FleetMemory) -> bool {
        let uid = self.consumer.uid().unwrap_or_default();
        let deployment = self.observed.deployment.as_deref();
        let deployment = deployment.filter(|deployment| is_owned(deployment, &uid));
        let Some(deployment) = deployment.filter(|_| self.consumer.spec.paused) else {
            return true;
        };
        self.order = Some(size::stop());
        self.carry_out(deployment.clone(), memory).await;
        // What was set a moment ago the cache may not show yet.
        let raised = memory
            .size_set
            .is_some_and(|set| set.size > 0 && version_of(&deployment.metadata) < set.version);
        let workload = self.workload.as_ref();
        !raised && workload.is_some_and(|workload| workload.size == 0)
    }

    /// Sets the size that was ordered.
    async fn carry_out(&mut self, mut deployment: Deployment, memory: &mut FleetMemory) {
        let Self {
            context, observed, ..
        } = *self;
        let Some(order) = &self.order else {
            return self.has_now(&deployment, memory);
        };
        if order.set.is_some() {
            let now = context.clock.elapsed();
            let resized = resized::by_other(&deployment, memory, now);
            self.happenings.resized = self.happenings.resized.take().or(resized);
        }
        let sample = self.sample.as_ref();
        match scale(context, &mut deployment, memory, observed, order, sample).await {
            Ok(scaled) => {
                if let Some(now) = scaled {
                    context.metrics.scaled(now.from, now.to);
                    self.happenings.why = why(&now, order, self.decision.as_ref());
                    let before = self.happenings.scaled.take();
                    let from = before.map_or(now.from, |before| before.from);
                    self.happenings.scaled = Some(Scaled { from, ..now });
                }
            }
            Err(error) => self.failed(&error, memory),
        }
        self.has_now(&deployment, memory);
    }

    fn has_now(&mut self, deployment: &Deployment, memory: &mut FleetMemory) {
        let workload = read(deployment, self.observed);
        memory.size = Some(workload.size);
        self.workload = Some(workload);
    }

    /// Applies the children; what was refused is not tried again at every wake-up.
    async fn apply(&mut self, fleet: &Fleet, memory: &mut FleetMemory) -> Option<Deployment> {
        if let Some(unread) = &memory.lookups.unread {
            // Told when it was looked up.
            self.trouble.get_or_insert_with(|| unread.clone());
            return None;
        }
        let now = self.context.clock.elapsed();
        let generation = self.consumer.metadata.generation;
        if let Some(refusal) = &memory.refusal
            && refusal.generation == generation
            && now < refusal.until
        {
            self.trouble = Some(refusal.trouble.clone());
            self.within(refusal.until.saturating_sub(now).max(MOMENT));
            return None;
        }
        if let Some((rest, trouble)) = memory.contest.rest(generation, now) {
            self.trouble = Some(trouble);
            self.within(rest.max(MOMENT));
            return None;
        }
        let mut annotations = DefaultHasher::new();
        self.consumer.annotations().hash(&mut annotations);
        let seen = Seen {
            generation,
            annotations: annotations.finish(),
            looked_up_at: memory.lookups.looked_up_at,
            versions: self.observed.versions(),
        };
        let current = seen.shows(memory);
        if current && memory.settled.as_ref() == Some(&seen) {
            // Nothing that children are made of has changed, and nothing of theirs.
            return self.observed.deployment.as_deref().cloned();
        }
        memory.settled = None;
        let ordered = self.order.as_ref().and_then(|order| order.set);
        // While nobody can say, one that was deleted is made again as it was.
        let first_size = ordered.unwrap_or(self.lost);
        match apply(self.context, fleet, memory, self.observed, first_size).await {
            Ok(Applied {
                deployment,
                corrections,
            }) => {
                memory.refusal = None;
                // What was written now is not in the caches yet.
                memory.settled = seen.shows(memory).then_some(seen);
                let contested = memory.contest.corrected(&corrections, generation, now);
                self.trouble = contested.or(self.trouble.take());
                self.happenings.corrections.extend(corrections);
                Some(deployment)
            }
            Err(error) => {
                self.failed(&error, memory);
                memory.refusal = Some(Refusal {
                    generation,
                    until: now + memory.failures.wait(&memory.uid),
                    trouble: error.trouble(),
                });
                None
            }
        }
    }
}

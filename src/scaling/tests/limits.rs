//! What the user and the partitions allow: least and most pods, and the sizes in between that help.

use super::{known, labels, last, partition, policy, rest, sample};
use crate::scaling::{Policy, Sample, State};

#[test]
fn the_largest_useful_size_within_max_is_chosen() {
    let policy = Policy {
        max: Some(11),
        ..policy()
    };
    let decision = last(&policy, known(), &[sample(0.0, 5000, 0, 0)]);
    assert_eq!(
        decision.replicas, 6,
        "7 to 11 pods leave the busiest two partitions, as 6 do"
    );
    assert_eq!(decision.reasons[0].label(), "CappedByMaxReplicas");
    assert!(decision.reasons[0].is_limit());
}

#[test]
fn partitions_limit_the_size_and_say_so() {
    let decision = last(&policy(), known(), &[sample(0.0, 50_000, 0, 3)]);
    assert_eq!(decision.replicas, 12);
    assert_eq!(decision.reasons[0].label(), "CappedByPartitions");
}

#[test]
fn min_is_respected_although_it_is_no_useful_size() {
    let policy = Policy { min: 5, ..policy() };
    let decision = last(&policy, known(), &[sample(0.0, 10, 10, 2)]);
    assert_eq!(
        (decision.replicas, labels(&decision)[0]),
        (5, "AtLeastMinReplicas")
    );
    // Beyond it only useful sizes are left.
    let decision = last(&policy, known(), &[sample(0.0, 1200, 0, 5)]);
    assert_eq!(decision.replicas, 5);
    let decision = last(&policy, known(), &[sample(0.0, 3500, 0, 5)]);
    assert_eq!(decision.replicas, 12, "{decision:?}");
}

#[test]
fn min_is_named_as_long_as_it_is_what_holds_the_size() {
    let policy = Policy { min: 4, ..policy() };
    let told = |samples: &[Sample]| labels(&last(&policy, known(), samples));
    assert_eq!(told(&rest(30, 4)), ["Enough", "AtLeastMinReplicas"]);
    // 12 partitions, so many records a second in each, and a pod does 195.
    let arrives = |each: i64, pods: u32| -> Vec<Sample> {
        let at = |second: i64| sample(second as f64, each * second, each * second - each, pods);
        (1..120).map(at).collect()
    };
    assert_eq!(told(&arrives(20, 4)), ["Enough", "AtLeastMinReplicas"]);
    assert_eq!(told(&arrives(55, 4)), ["Enough"], "it takes four");
    assert!(!told(&arrives(20, 6)).contains(&"AtLeastMinReplicas"));
    let mut unknown = rest(30, 4);
    if let Some(last) = unknown.last_mut() {
        last.partitions.insert(partition(0), None);
    }
    assert_eq!(told(&unknown), ["LagUnknown", "Enough"], "nobody knows");
}

#[test]
fn min_holds_without_any_data_and_max_too() {
    let mut sample = sample(0.0, 0, 0, 0);
    sample.partitions = crate::topic::ByPartition::default();
    let least = Policy { min: 2, ..policy() };
    assert_eq!(
        last(&least, State::default(), &[sample.clone()]).replicas,
        2
    );
    sample.current = 9;
    let most = Policy {
        max: Some(4),
        ..policy()
    };
    assert_eq!(last(&most, State::default(), &[sample]).replicas, 4);
}

#[test]
fn pods_beyond_a_lowered_max_go_at_once() {
    let policy = Policy {
        max: Some(3),
        ..policy()
    };
    let decision = last(&policy, known(), &[sample(0.0, 5000, 0, 12)]);
    assert_eq!(
        (decision.replicas, labels(&decision)[0]),
        (3, "CappedByMaxReplicas")
    );
}

#[test]
fn what_is_beyond_the_limits_does_not_wait_with_a_lowering() {
    // An idle fleet of one partition, whose user has just allowed two pods.
    let policy = Policy {
        max: Some(2),
        ..policy()
    };
    let mut idle = sample(0.0, 0, 0, 3);
    idle.partitions
        .retain(|partition, _| partition.partition == 0);
    let decision = last(&policy, known(), &[idle.clone()]);
    assert_eq!(decision.replicas, 1, "{decision:?}");
    // The same of twelve partitions: two of three stay until one is known to be enough.
    let decision = last(&policy, known(), &[sample(0.0, 0, 0, 3)]);
    assert_eq!(decision.replicas, 2, "{decision:?}");
    let why = &decision.reasons[0];
    assert_eq!(why.label(), "BeyondLimit", "nobody wants more than two");
    assert!(!why.is_limit());
    assert_eq!(
        why.to_string(),
        "there are 3 pods, and scaling.maxReplicas allows 2: those beyond 2 are too many"
    );
}

//! `spec.kafka.properties`: which ones may be set.

use std::collections::BTreeMap;

use super::Timing;
use super::nearest::nearest;
use super::problem::Problems;
use crate::api::GroupProtocol;
use crate::api::librdkafka::{PASSED_ON_PROPERTIES, owned_property};
use crate::api::names::reason;

/// Never repeats a value: it may be a secret.
pub(super) fn check(
    properties: &BTreeMap<String, String>,
    protocol: GroupProtocol,
    timing: Option<&Timing>,
    problems: &mut Problems,
) {
    for (name, value) in properties {
        let field = format!("spec.kafka.properties[{name}]");
        if let Some(owned) = owned_property(name) {
            let reason = if owned.secret {
                reason::SECRET_IN_PROPERTY
            } else {
                reason::OWNED_PROPERTY
            };
            problems.add(
                reason,
                &field,
                format!(
                    "{field} cannot be set: {name} {}; {}",
                    owned.why, owned.remedy
                ),
            );
        } else if !PASSED_ON_PROPERTIES.contains(&name.as_str()) {
            let remedy = match nearest(name, PASSED_ON_PROPERTIES.iter().copied()) {
                Some(known) => format!("did you mean {known}?"),
                None => "remove it or correct the name".to_owned(),
            };
            problems.invalid(
                &field,
                format!("{field}: librdkafka has no property {name:?}, and no client would start with it; {remedy}"),
            );
        } else if matches!(
            name.as_str(),
            "session.timeout.ms" | "heartbeat.interval.ms"
        ) {
            session(name, value, &field, protocol, timing, problems);
        } else if name == "partition.assignment.strategy" {
            strategy(value, &field, protocol, problems);
        } else if name == "group.remote.assignor" && protocol == GroupProtocol::Classic {
            problems.contradiction(
                &field,
                format!("{field} is for spec.kafka.groupProtocol Consumer, but it is Classic; remove it or change the protocol"),
            );
        }
    }
}

/// librdkafka knows three assignors, and cannot speak for an eager and a cooperative one at once.
fn strategy(value: &str, field: &str, protocol: GroupProtocol, problems: &mut Problems) {
    if protocol == GroupProtocol::Consumer {
        return problems.contradiction(
            field,
            format!("{field} is for spec.kafka.groupProtocol Classic, but it is Consumer, with which the broker assigns; remove it, or name the broker's assignor in group.remote.assignor"),
        );
    }
    let names: Vec<_> = value.split(',').map(str::trim).collect();
    let known = matches!(
        names[..],
        ["cooperative-sticky" | "range" | "roundrobin"]
            | ["range", "roundrobin"]
            | ["roundrobin", "range"]
    );
    if !known {
        problems.invalid(
            field,
            format!("{field} names the assignors of the group, and eager and cooperative ones do not mix; write cooperative-sticky, range, roundrobin, or range,roundrobin"),
        );
    }
}

fn session(
    name: &str,
    value: &str,
    field: &str,
    protocol: GroupProtocol,
    timing: Option<&Timing>,
    problems: &mut Problems,
) {
    if protocol == GroupProtocol::Consumer {
        return problems.contradiction(
            field,
            format!("{field} is the broker's matter with spec.kafka.groupProtocol Consumer, and librdkafka refuses it; remove it"),
        );
    }
    let Ok(ms) = value.trim().parse::<u64>() else {
        return problems.invalid(
            field,
            format!("{field} must be a whole number of milliseconds; correct it"),
        );
    };
    let limit = timing.map(|timing| timing.max_poll_interval.as_millis());
    if let Some(limit) = limit
        && name == "session.timeout.ms"
        && u128::from(ms) > limit
    {
        problems.contradiction(
            field,
            format!("{field} is {ms}, more than max.poll.interval.ms, which is {limit} (from spec.handler.timeout); lower it or raise the time-out"),
        );
    }
}

//! What containers ask for: Drover's own amounts, and over them what the template says.
//!
//! Quotas and limit ranges of a namespace count every container, also those that nobody but Drover writes, and
//! may want each to name all that they count.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::pod_template::overlaid;
use crate::fleet::amount;

/// What is counted of every container. Devices are not in here: one container has them.
const COUNTED: [&str; 3] = ["cpu", "ephemeral-storage", "memory"];

pub(super) type Amounts = BTreeMap<String, Quantity>;

pub(super) fn amounts(entries: &[(&str, &str)]) -> Amounts {
    let entries = entries.iter();
    entries
        .map(|(name, text)| ((*name).to_owned(), Quantity((*text).to_owned())))
        .collect()
}

/// What of another container's resources a container beside it can name as its own.
pub(super) fn counted(of: &ResourceRequirements) -> ResourceRequirements {
    let counted = |amounts: &Option<Amounts>| {
        let amounts = amounts.iter().flatten();
        let counted: Amounts = amounts
            .filter(|(name, _)| COUNTED.contains(&name.as_str()))
            .map(|(name, amount)| (name.clone(), amount.clone()))
            .collect();
        (!counted.is_empty()).then_some(counted)
    };
    ResourceRequirements {
        requests: counted(&of.requests),
        limits: counted(&of.limits),
        claims: None,
    }
}

/// Our requests with what is written in their place. As Kubernetes has it where a limit is all that is
/// written: none of ours is above its limit.
pub(super) fn requests(mut ours: Amounts, limits: &Amounts, written: Option<Amounts>) -> Amounts {
    for (name, request) in &mut ours {
        if let Some(limit) = limits.get(name)
            && is_less(limit, request)
        {
            *request = limit.clone();
        }
    }
    overlaid(ours, written)
}

/// False where one of them is no quantity.
pub(super) fn is_less(one: &Quantity, other: &Quantity) -> bool {
    let amounts = amount(&one.0).zip(amount(&other.0));
    amounts.is_some_and(|(one, other)| one < other)
}

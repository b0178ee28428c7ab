//! Objects of the input that act on the pods of what is replaced, and would act on those of the fleet: they have no
//! counterpart, and must go as well.

use serde_json::Value;

use super::draft::Draft;
use super::input::{Input, Object};
use super::notes::{Notes, Spot};
use crate::api::KafkaConsumer;
use crate::cli::interference::{
    LEAVE_OUT, TWO_BUDGETS, pod_labels, scaled_object_of, selects, sizes,
};

/// Whether an object of this kind may be one of them.
pub(super) fn is_looked_at(object: &Object) -> bool {
    is_autoscaler(object) || is_budget(object)
}

fn is_autoscaler(object: &Object) -> bool {
    object.is("autoscaling", "HorizontalPodAutoscaler")
}

fn is_budget(object: &Object) -> bool {
    object.is("policy", "PodDisruptionBudget")
}

/// Tells one of them, and has the draft whose pods it acts on say that it must go; false if it acts on those of none.
pub(super) fn tell(
    input: &Input,
    index: usize,
    drafts: &mut [(usize, Draft)],
    notes: &mut Notes,
) -> bool {
    let object = &input.0[index];
    let mut told = false;
    for (_, draft) in drafts {
        let document = draft.document();
        let metadata = &document["metadata"];
        let namespace = metadata["namespace"].as_str().unwrap_or_default();
        if draft.get("handler.consumer").is_null() || namespace != object.namespace {
            continue;
        }
        let name = metadata["name"].as_str().unwrap_or_default();
        let said = match is_autoscaler(object) {
            true => of_autoscaler(&object.value, name),
            false => of_budget(&object.value, name, &document),
        };
        let Some((text, must_go)) = said else {
            continue;
        };
        notes.left_behind(Spot::object(index), text);
        if must_go {
            let called = object.called();
            draft.remark(format!("{called} must go, too: it acts on the same pods."));
        }
        told = true;
    }
    told
}

/// What there is to say, and whether somebody must do something.
type Said = Option<(String, bool)>;

fn of_autoscaler(value: &Value, name: &str) -> Said {
    if !sizes(value, name) {
        return None;
    }
    if let Some(scaled) = scaled_object_of(value) {
        let text = format!(
            "KEDA made it for ScaledObject {scaled}, and takes it away with that; nothing to do"
        );
        return Some((text, false));
    }
    let bounds = ["minReplicas", "maxReplicas"].map(|bound| {
        let value = value["spec"][bound].as_u64()?;
        Some(format!("{bound} {value}"))
    });
    let bounds: Vec<String> = bounds.into_iter().flatten().collect();
    let bounds = match bounds.is_empty() {
        true => String::new(),
        false => format!(
            "; its {} are not carried: where they are to stay, write them into spec.scaling",
            bounds.join(" and ")
        ),
    };
    let text = format!(
        "it sizes Deployment {name}, and Drover's has the same name: the two would set its size against each other; delete it before what is written is applied{bounds}"
    );
    Some((text, true))
}

fn of_budget(value: &Value, name: &str, document: &Value) -> Said {
    // What is no KafkaConsumer is told as that.
    let consumer: KafkaConsumer = serde_json::from_value(document.clone()).ok()?;
    if !selects(value, &pod_labels(&consumer)) {
        return None;
    }
    let text = format!(
        "it selects the pods of KafkaConsumer {name}, too, {TWO_BUDGETS}; delete it, or, {LEAVE_OUT}"
    );
    Some((text, true))
}

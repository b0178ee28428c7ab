//! A fleet is paused with another template, and its size cannot be set.

use serde_json::json;

use super::behind_proxy;
use super::lives::{Shapes, all, begin, grow, has_begun, has_grown, size_of, template};
use crate::support::faulty_api::{Call, Fault};
use crate::support::operator::wait_for;

const FLEET: &str = "fleet";

fn scales(call: &Call) -> bool {
    call.writes() && call.path.ends_with("/deployments/fleet/scale")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_fleet_that_cannot_be_stopped_yet_gets_no_pod_of_its_new_template() {
    let (operator, api) = behind_proxy().await;
    let noted = Shapes::watch(&operator);
    let names = [FLEET.to_owned()];
    begin(&operator, FLEET).await;
    all(&operator, &names, "it to have begun", has_begun).await;
    grow(&operator, FLEET).await;
    all(&operator, &names, "it to have grown", has_grown).await;

    api.faults(|call| {
        if scales(call) {
            Fault::Answer(500)
        } else {
            Fault::None
        }
    });
    let template = template(FLEET, "3", json!({ "name": "worker" }));
    let pause = json!({ "paused": true, "template": template });
    operator.change(FLEET, pause).await;
    wait_for("its size to be refused more than once", async || {
        let calls = api.calls();
        let refused = calls.iter().filter(|call| scales(call));
        let refused = refused.filter(|call| call.fault == Fault::Answer(500));
        (refused.count() > 1)
            .then_some(())
            .ok_or("not yet".to_owned())
    })
    .await;
    operator
        .condition(FLEET, "Ready", "False", "ApiServerError")
        .await;

    api.faults(|_| Fault::None);
    operator.condition(FLEET, "Ready", "True", "Paused").await;
    let is_new = |shape: &&k8s_openapi::api::apps::v1::DeploymentSpec| {
        let annotations = shape.template.metadata.as_ref();
        let annotations = annotations.and_then(|meta| meta.annotations.as_ref());
        annotations
            .and_then(|it| it.get("round"))
            .is_some_and(|round| round == "3")
    };
    let sizes = wait_for("the new template", async || {
        let shapes = noted.of(FLEET);
        let sizes: Vec<i32> = shapes.iter().filter(is_new).map(size_of).collect();
        if sizes.is_empty() {
            return Err(format!("{shapes:#?}"));
        }
        Ok(sizes)
    })
    .await;
    assert_eq!(sizes, [0], "no pod is ordered of it");
}

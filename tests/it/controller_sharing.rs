//! Who else has a fleet's group is told.
#![allow(clippy::unwrap_used, reason = "a test may panic wherever it stands")]

use kube::api::DeleteParams;
use serde_json::json;

use crate::lag_broker::broker;
use crate::support::consumers::with;
use crate::support::operator::Operator;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleets_with_one_group_are_told_of_each_other_until_one_goes() {
    // The mock says of no group who is in it.
    let kafka = broker();
    let orders = kafka.create_topic("shared-orders", 2).await;
    let invoices = kafka.create_topic("shared-invoices", 2).await;
    let operator = Operator::start(&[]).await;
    let spec = |topic: &str| {
        let spec = with(operator.spec(topic), "/groupId", json!(orders));
        with(spec, "/kafka/bootstrapServers", json!(kafka.servers))
    };
    operator.create("first", spec(&orders)).await;
    // The same group on another topic takes nothing away.
    operator.create("other", spec(&invoices)).await;
    let alone = operator
        .condition("first", "GroupShared", "False", "NotShared")
        .await;
    assert!(!alone.message.contains("other"), "{}", alone.message);

    operator.create("second", spec(&orders)).await;
    for (name, rival) in [("second", "first"), ("first", "second")] {
        let told = operator
            .condition(name, "GroupShared", "True", "OtherFleet")
            .await;
        assert!(
            told.message.contains(&format!("/{rival};")),
            "{}",
            told.message
        );
        assert!(!told.message.contains("/other"), "{}", told.message);
        operator.event(name, "GroupShared").await;
    }

    let second = DeleteParams::default();
    operator
        .api::<drover::api::KafkaConsumer>()
        .delete("second", &second)
        .await
        .unwrap();
    operator
        .condition("first", "GroupShared", "False", "NotShared")
        .await;
    operator.event("first", "GroupAlone").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_does_not_say_who_is_in_the_group_is_not_taken_for_one_that_says_nobody() {
    let operator = Operator::start(&["orders"]).await;
    let spec = || with(operator.spec("orders"), "/groupId", json!("shop"));
    operator.create("first", spec()).await;
    operator
        .condition("first", "GroupShared", "Unknown", "NotRead")
        .await;
    // What is known without it is told.
    operator.create("second", spec()).await;
    for name in ["first", "second"] {
        operator
            .condition(name, "GroupShared", "True", "OtherFleet")
            .await;
    }
}

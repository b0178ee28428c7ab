//! `GroupShared`: who else is a member of the group or commits for it.

use serde_json::json;

use super::{Day, condition, fleet, reason};
use crate::controller::fleets::FleetKey;
use crate::controller::status::Sharing;
use crate::kafka::admin::Member;
use crate::topic::TopicPartition;

#[test]
fn whoever_else_has_the_group_is_named() {
    let mut day = Day::good();
    let word = |day: &Day| reason(&day.status(), "GroupShared");
    assert_eq!(word(&day), "False NotShared");
    let member = Box::leak(Box::new(Member {
        id: "rdkafka-1".to_owned(),
        client_id: "rdkafka".to_owned(),
        host: "10.0.0.9".into(),
        partitions: vec![TopicPartition::new("orders", 0)],
    }));
    let rival = |name: &str| FleetKey {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    };
    day.sharing.foreign = 2;
    assert_eq!(word(&day), "True OtherCommits");
    day.sharing.rivals = ["a", "b", "c", "d", "e"].map(rival).into();
    assert_eq!(word(&day), "True OtherFleet");
    let (_, _, message) = condition(&day.status(), "GroupShared");
    assert!(
        message.contains("shop/a, shop/b, shop/c and 2 more; "),
        "{message}"
    );
    day.sharing.strangers = vec![member];
    let (status, word_now, message) = condition(&day.status(), "GroupShared");
    assert_eq!((&*status, &*word_now), ("True", "OtherMembers"));
    assert!(
        message.contains("rdkafka from 10.0.0.9 with 1 partition; "),
        "{message}"
    );
    // The fleet does what it is there for.
    assert_eq!(reason(&day.status(), "Ready"), "True AllReady");
    // Programs of the user's own never report.
    day.fleet = fleet(
        json!({ "handler": { "consumer": {} }, "template": { "spec": {
        "containers": [{ "name": "mine", "image": "mine" }] } } }),
    );
    day.sharing = Sharing {
        is_known: true,
        foreign: 2,
        ..Default::default()
    };
    assert_eq!(word(&day), "False NotShared");
    day.sharing.is_known = false;
    assert_eq!(word(&day), "Unknown NotRead");
    day.sample = None;
    assert_eq!(word(&day), "Unknown NotAskedYet");
}

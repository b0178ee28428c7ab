//! A handler that is not in the pod, and that the pod cannot reach when it starts.

use std::collections::BTreeMap;

use super::kafka::eventually;
use super::outages::{nowhere, page, wait_for_page};
use super::unread_broker::Topic;
use super::web::{Web, ok, tally};
use super::workers::{Worker, http};

#[test]
fn who_has_never_reached_the_handler_takes_nothing_from_those_who_do() {
    let topic = Topic::new("far");
    topic.grow(2);
    let web = Web::start(|_| ok());
    let works = Worker::in_pod("pod-1", topic.config(&web));
    topic.produce_to(0, &["before"]);
    eventually("the first worker to work", || {
        (!web.seen().is_empty()).then_some(())
    });

    let mut config = topic.config(&web);
    config.handler = http(format!("http://{}/", nowhere()));
    let admin = nowhere();
    let waits = Worker::in_pod_with_admin("pod-2", config, Some(admin));
    wait_for_page(admin, "/readyz", 503, "handler not reachable");
    for partition in 0..2 {
        topic.produce_to(partition, &["a", "b"]);
    }
    let all = BTreeMap::from([("before", 1), ("a", 2), ("b", 2)].map(|(t, n)| (t.to_owned(), n)));
    eventually("all to be handled", || {
        (tally(&web.seen()) == all).then_some(())
    });
    let not_a_member = "not yet a member";
    wait_for_page(admin, "/readyz", 503, not_a_member);

    // Nobody is left whom it could take anything from, and its report says what is wrong.
    works.stop().unwrap();
    eventually("the second worker to join", || {
        let (_, body) = page(admin, "/readyz")?;
        (!body.contains(not_a_member)).then_some(())
    });
    waits.stop().unwrap();
}

//! Handlers that are commands: lines of JSON in and out, and processes that end as they like.

use std::path::PathBuf;
use std::time::Duration;

use drover::worker_config::{
    Batch, ExecHandler, Handler, IdempotencyKey, OnExhausted, StoreKind, WorkerConfig,
};
use serde_json::{Value, json};

use super::kafka::{Kafka, eventually};
use super::outages::{nowhere, wait_for_page};
use super::web::{Web, ok};
use super::workers::{TOPIC, Worker, config, texts};
use crate::stores::told;

const DEAD: &str = "orders.dlq";

/// A shell script as a handler; in it `$0` is a folder of the test's own.
struct Script {
    folder: tempfile::TempDir,
    config: WorkerConfig,
}

impl Script {
    /// `answer` is run for each line, which is in `$line`; what it prints is the answer.
    fn new(kafka: &Kafka, answer: &str) -> Self {
        Self::whole(
            kafka,
            &format!("while IFS= read -r line; do {answer}\ndone"),
        )
    }

    fn whole(kafka: &Kafka, script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (web, path) = (Web::start(|_| ok()), folder.path().to_str().unwrap());
        let command = ["/bin/sh", "-c", script, path].map(str::to_owned).to_vec();
        let config = WorkerConfig {
            handler: Handler::Exec(ExecHandler { command }),
            concurrency: 1,
            ..config(kafka, &web)
        };
        Self { folder, config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The lines of a file that the script writes.
    fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn documents(&self, name: &str) -> Vec<Value> {
        let lines = self.lines(name);
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn dead_lettering(kafka: &Kafka, config: &mut WorkerConfig) {
    kafka.mock().create_topic(DEAD, 1, 1).unwrap();
    config.dead_letter_topic = Some(DEAD.to_owned());
    config.on_exhausted = OnExhausted::DeadLetter;
}

/// A process of that number runs, and is not only waiting to be reaped.
fn runs(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}

#[test]
fn each_record_is_a_line_and_each_answer_its_result() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("v", 30));
    let mut script = Script::new(
        &kafka,
        r#"printf '%s\n' "$line" >> "$0/seen"
        case "$line" in
            *'"attempt":1,'*'"value":"v-3"'*) printf '{"result":"retry","error":"lock"}\n' ;;
            *'"value":"v-5"'*) printf '"skip"\n' ;;
            *'"value":"v-7"'*) printf '{"result":"reject","error":"no such user"}\n' ;;
            *) printf '"done"\n' ;;
        esac"#,
    );
    dead_lettering(&kafka, &mut script.config);
    script.config.concurrency = 2;
    let worker = Worker::start("pod-1", script.config.clone());
    kafka.wait_for_commit(TOPIC, 0, 30);
    let dead = kafka.read(DEAD, 1).remove(0);
    assert!(worker.stop().is_ok());
    assert_eq!(dead.value.as_deref(), Some(&b"v-7"[..]));
    assert_eq!(dead.header("drover-dlq-error"), Some("no such user"));
    let seen = script.documents("seen");
    assert_eq!(seen.len(), 31, "each once, and one of them twice");
    let first = seen.iter().find(|record| record["offset"] == 0).unwrap();
    let expected = json!({
        "topic": TOPIC, "partition": 0, "offset": 0, "timestamp": first["timestamp"], "attempt": 1,
        "idempotencyKey": "orders/0/0", "key": "a", "headers": [], "value": "v-0",
    });
    assert_eq!(first, &expected);
    for key in ["a", "b", "c"] {
        let of_key = seen.iter().filter(|record| record["key"] == key);
        let offsets: Vec<_> = of_key.map(|record| record["offset"].as_i64()).collect();
        assert!(offsets.is_sorted(), "{key}: {offsets:?}");
    }
}

#[test]
fn a_process_that_ends_after_each_answer_costs_no_record_an_attempt() {
    // A moment after its answer the next line may be on its way already.
    for (end, records) in [
        ("sleep 0.02", 40),
        ("sleep 0.02; exit 1", 40),
        // Its input is closed before it answers.
        ("sleep 1000", 3),
    ] {
        let kafka = Kafka::with_topic(TOPIC, 1);
        kafka.produce(TOPIC, 0, &["a", "b", "c"], &texts("v", records));
        let closes = if end == "sleep 1000" { "exec <&-" } else { "" };
        let answers = format!(
            r#"IFS= read -r line
            printf '%s\n' "$line" >> "$0/seen"
            {closes}
            printf '"done"\n'"#
        );
        let mut script = Script::whole(&kafka, &format!("{answers}\n{end}"));
        dead_lettering(&kafka, &mut script.config);
        script.config.attempts = 1;
        let worker = Worker::start("pod-1", script.config.clone());
        kafka.wait_for_commit(TOPIC, 0, records as i64);
        assert!(worker.stop().is_ok());
        let seen = script.documents("seen");
        let attempts: Vec<_> = seen.iter().map(|record| &record["attempt"]).collect();
        assert_eq!(attempts, vec![&json!(1); records], "{end}");
    }
}

#[test]
fn a_command_that_ends_before_it_reads_costs_no_attempt() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 2));
    let mut script = Script::whole(
        &kafka,
        r#"echo started >> "$0/starts"
        [ -e "$0/mended" ] || exit 7
        while IFS= read -r line; do
            printf '%s\n' "$line" >> "$0/seen"
            printf '"done"\n'
        done"#,
    );
    dead_lettering(&kafka, &mut script.config);
    script.config.attempts = 1;
    let worker = Worker::start("pod-1", script.config.clone());
    eventually("some starts", || {
        (script.lines("starts").len() > 3).then_some(())
    });
    std::fs::write(script.path("mended"), "").unwrap();
    kafka.wait_for_commit(TOPIC, 0, 2);
    assert!(worker.stop().is_ok());
    assert_eq!(script.documents("seen").len(), 2);
}

/// A second for each record, of which a start takes two.
fn slow_starts(kafka: &Kafka, script: &str) -> Script {
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 2));
    let mut script = Script::whole(kafka, script);
    dead_lettering(kafka, &mut script.config);
    script.config.attempts = 1;
    script.config.handler_timeout = Duration::from_secs(1);
    script
}

#[test]
fn a_command_that_takes_longer_to_start_than_it_may_for_a_record_costs_no_attempt() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let script = slow_starts(
        &kafka,
        r#"echo started >> "$0/starts"
        sleep 2
        while IFS= read -r line; do
            printf '%s\n' "$line" >> "$0/seen"
            sleep 0.5
            printf '"done"\n'
        done"#,
    );
    let worker = Worker::start("pod-1", script.config.clone());
    kafka.wait_for_commit(TOPIC, 0, 2);
    assert!(worker.stop().is_ok());
    assert_eq!(script.documents("seen").len(), 2);
    assert_eq!(script.lines("starts").len(), 1);
}

#[test]
fn a_command_that_reads_late_and_then_overruns_has_failed_on_that_record() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let script = slow_starts(
        &kafka,
        r#"sleep 2
        while IFS= read -r line; do
            case "$line" in *v-0*) sleep 1000 ;; esac
            printf '"done"\n'
        done"#,
    );
    let worker = Worker::start("pod-1", script.config.clone());
    kafka.wait_for_commit(TOPIC, 0, 2);
    let dead = kafka.read(DEAD, 1).remove(0);
    assert!(worker.stop().is_ok());
    assert_eq!(dead.value.as_deref(), Some(&b"v-0"[..]));
    assert_eq!(dead.header("drover-dlq-error-class"), Some("Timeout"));
}

/// A claim lasts no longer than the handler's time.
#[test]
fn with_a_claim_a_command_that_has_read_nothing_in_the_handlers_time_is_ended_and_costs_no_attempt()
{
    let kafka = Kafka::with_topic(TOPIC, 1);
    let mut script = slow_starts(
        &kafka,
        r#"echo started >> "$0/starts"
        [ -e "$0/mended" ] || sleep 1000
        while IFS= read -r line; do
            printf '%s\n' "$line" >> "$0/seen"
            printf '"done"\n'
        done"#,
    );
    script.config.idempotency = Some(told(StoreKind::Memory { max_entries: 10 }));
    script.config.idempotency.as_mut().unwrap().key = IdempotencyKey::Offset;
    let worker = Worker::start("pod-1", script.config.clone());
    eventually("two starts", || {
        (script.lines("starts").len() >= 2).then_some(())
    });
    std::fs::write(script.path("mended"), "").unwrap();
    kafka.wait_for_commit(TOPIC, 0, 2);
    assert!(worker.stop().is_ok());
    assert_eq!(script.documents("seen").len(), 2);
}

#[test]
fn a_process_that_ends_in_the_middle_has_failed_on_that_record_and_is_started_again() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let values = ["v-0", "poison", "v-2"].map(str::to_owned);
    kafka.produce(TOPIC, 0, &["a", "b", "c"], &values);
    let mut script = Script::whole(
        &kafka,
        r#"echo started >> "$0/starts"
        while IFS= read -r line; do
            case "$line" in *poison*) exit 3 ;; esac
            printf '"done"\n'
        done"#,
    );
    dead_lettering(&kafka, &mut script.config);
    script.config.attempts = 2;
    let worker = Worker::start("pod-1", script.config.clone());
    kafka.wait_for_commit(TOPIC, 0, 3);
    let dead = kafka.read(DEAD, 1).remove(0);
    assert!(worker.stop().is_ok());
    assert_eq!(dead.value.as_deref(), Some(&b"poison"[..]));
    for (name, value) in [("attempts", "2"), ("error-class", "Process")] {
        let name = format!("drover-dlq-{name}");
        assert_eq!(dead.header(&name), Some(value), "{name}");
    }
    let error = dead.header("drover-dlq-error").unwrap();
    assert!(error.contains("exit status: 3"), "{error}");
    assert!(script.lines("starts").len() >= 2);
}

#[test]
fn a_command_that_overruns_is_killed_with_all_that_it_started() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a"], &["hangs".to_owned(), "goes".to_owned()]);
    let mut script = Script::new(
        &kafka,
        r#"case "$line" in *hangs*)
            sleep 1000 & echo $! >> "$0/pids"; echo $$ >> "$0/pids"; wait ;;
        esac
        printf '"done"\n'"#,
    );
    script.config.handler_timeout = Duration::from_millis(500);
    script.config.attempts = 1;
    script.config.on_exhausted = OnExhausted::Skip;
    let worker = Worker::start("pod-1", script.config.clone());
    kafka.wait_for_commit(TOPIC, 0, 2);
    let pids = script.lines("pids");
    assert_eq!(pids.len(), 2, "it was tried once");
    eventually("both processes are gone", || {
        (!pids.iter().any(|pid| runs(pid))).then_some(())
    });
    assert!(worker.stop().is_ok());
}

#[test]
fn a_drain_that_is_overrun_leaves_no_process_and_counts_no_attempt() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a"], &["v".to_owned()]);
    let mut script = Script::new(
        &kafka,
        r#"printf '%s\n' "$line" >> "$0/seen"
        [ -e "$0/mended" ] || { sleep 1000 & echo $! >> "$0/pids"; echo $$ >> "$0/pids"; wait; }
        printf '"done"\n'"#,
    );
    script.config.handler_timeout = Duration::from_secs(3600);
    script.config.drain_deadline = Duration::from_millis(300);
    let worker = Worker::start("pod-1", script.config.clone());
    eventually("it hangs", || {
        (script.lines("pids").len() == 2).then_some(())
    });
    assert!(worker.stop().is_ok());
    let pids = script.lines("pids");
    eventually("both processes are gone", || {
        (!pids.iter().any(|pid| runs(pid))).then_some(())
    });
    std::fs::write(script.path("mended"), "").unwrap();
    let worker = Worker::start("pod-2", script.config.clone());
    kafka.wait_for_commit(TOPIC, 0, 1);
    assert!(worker.stop().is_ok());
    let attempts: Vec<_> = script.documents("seen");
    assert!(attempts.iter().all(|record| record["attempt"] == 1));
}

#[test]
fn a_command_that_is_not_there_is_said_by_the_probe_and_no_record_is_to_blame() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 3));
    let mut script = Script::new(&kafka, r#"printf '"done"\n'"#);
    let program = script.path("handle");
    let program = program.to_str().unwrap().to_owned();
    script.config.handler = Handler::Exec(ExecHandler {
        command: vec![program.clone()],
    });
    script.config.attempts = 1;
    script.config.on_exhausted = OnExhausted::Skip;
    let admin = nowhere();
    let worker = Worker::start_with_admin("pod-1", script.config.clone(), Some(admin));
    wait_for_page(admin, "/readyz", 503, "handler not reachable");
    wait_for_page(admin, "/metrics", 200, "class=\"Start\"");
    let text = "#!/bin/sh\nwhile read -r line; do printf '\"done\"\\n'; done\n";
    // Written beside it first: a program that is open for writing cannot be run.
    std::fs::write(script.path("new"), text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(script.path("new"), mode).unwrap();
    std::fs::rename(script.path("new"), &program).unwrap();
    kafka.wait_for_commit(TOPIC, 0, 3);
    wait_for_page(admin, "/readyz", 200, "ok");
    wait_for_page(admin, "/metrics", 200, "records_done_total 3");
    assert!(worker.stop().is_ok());
}

#[test]
fn what_is_no_result_stalls_and_an_answer_to_nothing_is_never_taken_for_one() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(
        TOPIC,
        0,
        &["a", "b"],
        &["first".to_owned(), "second".to_owned()],
    );
    let script = Script::new(
        &kafka,
        r#"printf '%s\n' "$line" >> "$0/seen"
        case "$line" in
            *first*) printf '"done"\n"done"\n' ;;
            *) [ -e "$0/mended" ] && printf '"done"\n' || printf 'debugging…\n' ;;
        esac"#,
    );
    let worker = Worker::start("pod-1", script.config.clone());
    // The second "done" was no answer to the second record.
    eventually("the second record is tried on", || {
        let seen = script.documents("seen");
        let second = seen.iter().filter(|record| record["value"] == "second");
        (second.count() > 2).then_some(())
    });
    assert!(
        kafka
            .committed(TOPIC, 0)
            .is_none_or(|(offset, _)| offset < 2)
    );
    std::fs::write(script.path("mended"), "").unwrap();
    kafka.wait_for_commit(TOPIC, 0, 2);
    assert!(worker.stop().is_ok());
}

#[test]
fn a_late_second_answer_that_names_its_record_is_not_taken_for_the_next_ones() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a"], &texts("v", 5));
    let script = Script::new(
        &kafka,
        r#"offset=${line#*'"offset":'}; offset=${offset%%,*}
        printf '{"result":"done","offset":%s}\n' "$offset"
        if [ "$offset" = 0 ]; then
            read -r line
            printf '{"result":"done","offset":%s}\n' "$offset"
            exit
        fi
        printf '%s\n' "$offset" >> "$0/handled""#,
    );
    let worker = Worker::start("pod-1", script.config.clone());
    kafka.wait_for_commit(TOPIC, 0, 5);
    assert!(worker.stop().is_ok());
    assert_eq!(script.lines("handled"), ["1", "2", "3", "4"]);
}

#[test]
fn batches_are_lines_too() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let keys: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    kafka.produce(TOPIC, 0, &keys, &texts("v", 40));
    let mut script = Script::new(
        &kafka,
        r#"printf '%s\n' "$line" >> "$0/seen"; printf '"done"\n'"#,
    );
    script.config.batch = Batch {
        max_records: 10,
        max_bytes: 1 << 20,
        max_wait: Duration::from_millis(20),
    };
    let worker = Worker::start("pod-1", script.config.clone());
    kafka.wait_for_commit(TOPIC, 0, 40);
    assert!(worker.stop().is_ok());
    let batches = script.documents("seen");
    let records: usize = batches
        .iter()
        .map(|batch| batch["records"].as_array().unwrap().len())
        .sum();
    assert_eq!(records, 40);
    assert!(batches.len() < 40, "{}", batches.len());
}

#[test]
fn a_command_may_end_in_peace_when_its_input_ends() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    kafka.produce(TOPIC, 0, &["a"], &["v".to_owned()]);
    let script = Script::whole(
        &kafka,
        r#"while IFS= read -r line; do printf '"done"\n'; done; echo bye >> "$0/bye""#,
    );
    let worker = Worker::start("pod-1", script.config.clone());
    kafka.wait_for_commit(TOPIC, 0, 1);
    assert!(worker.stop().is_ok());
    assert_eq!(script.lines("bye"), ["bye"]);
}

#[test]
fn a_command_that_closes_its_output_and_lives_on_has_failed_and_is_ended() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let values = ["poison", "goes"].map(str::to_owned);
    kafka.produce(TOPIC, 0, &["a"], &values);
    let mut script = Script::new(
        &kafka,
        r#"case "$line" in *poison*)
            exec >&-; sleep 1000 & echo $! >> "$0/pids"; echo $$ >> "$0/pids"; wait ;;
        esac
        printf '"done"\n'"#,
    );
    dead_lettering(&kafka, &mut script.config);
    script.config.attempts = 1;
    let worker = Worker::start("pod-1", script.config.clone());
    kafka.wait_for_commit(TOPIC, 0, 2);
    let pids = script.lines("pids");
    assert_eq!(pids.len(), 2, "it was tried once");
    eventually("both processes are gone", || {
        (!pids.iter().any(|pid| runs(pid))).then_some(())
    });
    assert!(worker.stop().is_ok());
    let error = kafka.read(DEAD, 1).remove(0);
    let error = error.header("drover-dlq-error").unwrap();
    assert!(
        error.contains("closed its standard input or output"),
        "{error}"
    );
}

#[test]
fn a_command_that_ends_is_noticed_although_what_it_started_holds_its_output() {
    let kafka = Kafka::with_topic(TOPIC, 1);
    let values = ["poison", "goes"].map(str::to_owned);
    kafka.produce(TOPIC, 0, &["a"], &values);
    let mut script = Script::new(
        &kafka,
        r#"case "$line" in *poison*) sleep 1000 & echo $! >> "$0/pids"; exit 3 ;; esac
        printf '"done"\n'"#,
    );
    dead_lettering(&kafka, &mut script.config);
    script.config.attempts = 1;
    // Much longer than anything is waited for here.
    script.config.handler_timeout = Duration::from_secs(600);
    let worker = Worker::start("pod-1", script.config.clone());
    kafka.wait_for_commit(TOPIC, 0, 2);
    assert!(worker.stop().is_ok());
    let error = kafka.read(DEAD, 1).remove(0);
    let error = error.header("drover-dlq-error").unwrap();
    assert!(error.contains("exit status: 3"), "{error}");
    let pids = script.lines("pids");
    assert_eq!(pids.len(), 1, "it was tried once");
    eventually("what it started is gone, too", || {
        (!pids.iter().any(|pid| runs(pid))).then_some(())
    });
}

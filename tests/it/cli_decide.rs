//! `drover decide` as a program: a line in, a line out.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

const POLICY: &str =
    r#"{"policy":{"maxDelay":60,"minReplicas":1,"maxReplicas":48},"partitions":48}"#;

/// The program with pipes.
struct Planner {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Planner {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_drover"))
            .arg("decide")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            input,
            output,
        }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
        self.input.flush().unwrap();
    }

    /// The answer to a sample; it must come before anything else is said.
    fn ask(&mut self, sample: &Value) -> Value {
        self.say(&sample.to_string());
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Ends the input; the code, the rest of the output, and what was said of errors.
    fn end(mut self) -> (Option<i32>, String, String) {
        drop(self.input);
        let (mut output, mut error) = (String::new(), String::new());
        self.output.read_to_string(&mut output).unwrap();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut error).unwrap();
        (self.child.wait().unwrap().code(), output, error)
    }
}

/// A fleet of `replicas` pods that each do 100 records per second and are kept busy, with as much
/// waiting in each partition.
fn sample(at: f64, replicas: u32, waiting: i64) -> Value {
    let time = at as i64;
    let pod = |number: u32| {
        let own: Vec<u32> = (0..48).filter(|p| p % replicas == number).collect();
        json!({
            "name": format!("p{number}"), "createdAt": -40.0, "readyAt": -10.0, "partitions": own,
            "busySeconds": 10.0 + at, "done": 1000 + 100 * time,
        })
    };
    let partition = |number: u32| {
        let committed = 5000 + 100 * i64::from(replicas) / 48 * time;
        json!({ "partition": number, "end": committed + waiting, "committed": committed })
    };
    json!({
        "at": at,
        "replicas": replicas,
        "pods": (0..replicas).map(pod).collect::<Vec<_>>(),
        "partitions": (0..48).map(partition).collect::<Vec<_>>(),
    })
}

#[test]
fn each_sample_is_answered_at_once_by_one_line() {
    let mut planner = Planner::start();
    planner.say(POLICY);
    for tick in 0..4 {
        let at = f64::from(tick) * 5.0 + 0.25;
        let answer = planner.ask(&sample(at, 4, 10));
        assert_eq!(
            (&answer["at"], &answer["replicas"]),
            (&json!(at), &json!(4))
        );
        let why = answer["why"].as_array().unwrap();
        assert!(!why.is_empty());
        for reason in why {
            assert!(reason["code"].as_str().is_some_and(|code| !code.is_empty()));
            assert!(
                reason["message"]
                    .as_str()
                    .is_some_and(|text| text.len() > 10)
            );
        }
    }
    // A backlog of minutes wants more pods.
    let answer = planner.ask(&sample(20.25, 4, 3000));
    assert!(answer["replicas"].as_u64() > Some(4), "{answer}");
    let codes = answer["why"].as_array().unwrap().iter();
    let codes: Vec<_> = codes.map(|why| &why["code"]).collect();
    assert!(codes.contains(&&json!("DelayProjected")), "{answer}");
    assert_eq!(planner.end(), (Some(0), String::new(), String::new()));
}

#[test]
fn unknown_partitions_lower_nothing() {
    let mut planner = Planner::start();
    planner.say(POLICY);
    for tick in 0..200 {
        let mut sample = sample(f64::from(tick) * 5.0, 24, 0);
        sample["partitions"][7]["end"] = Value::Null;
        let answer = planner.ask(&sample);
        assert_eq!(answer["replicas"], 24);
        assert_eq!(answer["why"][0]["code"], "LagUnknown");
    }
    assert_eq!(planner.end().0, Some(0));
}

#[test]
fn known_peaks_of_the_policy_have_their_pods() {
    let policy = |zone: &str| {
        json!({
            "policy": {
                "maxDelay": 60, "minReplicas": 1, "maxReplicas": 48,
                "schedule": [{ "from": "08:00", "to": "18:00", "timeZone": zone, "minReplicas": 6 }],
            },
            "partitions": 48,
        })
        .to_string()
    };
    let mut planner = Planner::start();
    planner.say(&policy("UTC"));
    for (hours, replicas) in [(7.0, 1), (8.0, 6), (17.0, 6)] {
        let mut idle = sample(hours * 3600.0, 1, 0);
        idle["pods"] = json!([]);
        let answer = planner.ask(&idle);
        assert_eq!(answer["replicas"], replicas, "at {hours}: {answer}");
        let scheduled = answer["why"][0]["code"] == "Scheduled";
        assert_eq!(scheduled, replicas == 6, "at {hours}: {answer}");
    }
    assert_eq!(planner.end(), (Some(0), String::new(), String::new()));

    let mut planner = Planner::start();
    planner.say(&policy("Europe/Berln"));
    let (code, output, error) = planner.end();
    assert_eq!((code, output.as_str()), (Some(2), ""));
    let part = "line 1: policy.schedule[0].timeZone is \"Europe/Berln\"";
    assert!(error.contains(part), "{error}");
}

/// Partitions are added: with a `maxReplicas` above them the fleet may be as large as there are partitions, and what was not
/// told yet of the new ones is unknown.
#[test]
fn partitions_that_are_added_in_mid_run_are_used() {
    let mut planner = Planner::start();
    planner.say(r#"{"policy":{"maxDelay":60,"minReplicas":1,"maxReplicas":200},"partitions":48}"#);
    let busy = |at: f64, partitions: u32| {
        let mut busy = sample(at, 48, 6000);
        for number in 48..partitions {
            let new = json!({ "partition": number, "end": 6000, "committed": 0 });
            busy["partitions"].as_array_mut().unwrap().push(new);
        }
        busy
    };
    for tick in 0..4 {
        let answer = planner.ask(&busy(f64::from(tick) * 5.0, 48));
        assert_eq!(answer["replicas"], 48, "{answer}");
    }
    let answer = planner.ask(&busy(20.0, 96));
    assert_eq!(answer["replicas"], 96, "{answer}");
    // Those that are not mentioned are unknown, and unknown lowers nothing.
    let answer = planner.ask(&busy(25.0, 48));
    let codes: Vec<_> = answer["why"].as_array().unwrap().iter().collect();
    let unknown = codes.iter().find(|why| why["code"] == "LagUnknown");
    let told = unknown.and_then(|why| why["message"].as_str());
    assert!(
        told.is_some_and(|told| told.contains("48 of 96 partitions")),
        "{answer}"
    );
    assert_eq!(planner.end(), (Some(0), String::new(), String::new()));
}

/// As when somebody edits the resource, or its topic was made anew with fewer partitions.
#[test]
fn a_policy_in_mid_run_holds_from_then_on_and_has_no_answer() {
    let mut planner = Planner::start();
    planner.say(POLICY);
    for tick in 0..4 {
        planner.ask(&sample(f64::from(tick) * 5.0, 4, 10));
    }
    planner.say(r#"{"policy":{"maxDelay":60,"maxReplicas":3},"partitions":48}"#);
    let answer = planner.ask(&sample(20.0, 4, 10));
    assert_eq!(answer["replicas"], 3, "{answer}");
    planner.say(r#"{"policy":{"maxDelay":60,"minReplicas":1,"maxReplicas":48},"partitions":2}"#);
    let mut few = sample(25.0, 1, 6000);
    few["pods"][0]["partitions"] = json!([0, 1]);
    few["partitions"].as_array_mut().unwrap().truncate(2);
    let answer = planner.ask(&few);
    assert_eq!(answer["replicas"], 2, "{answer}");
    assert_eq!(planner.end(), (Some(0), String::new(), String::new()));
}

#[test]
fn what_nobody_reads_of_the_first_line_is_passed_over_with_one_warning() {
    let mut planner = Planner::start();
    planner.say(
        r#"{"policy":{"maxDelay":60,"minReplicas":null,"lagThreshold":5},"partitions":48,"seed":1}"#,
    );
    for tick in 0..3 {
        planner.ask(&sample(f64::from(tick) * 5.0, 4, 10));
    }
    let (code, output, error) = planner.end();
    assert_eq!((code, output.as_str()), (Some(0), ""));
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(
        error.contains("line 1") && error.contains("seed, policy.lagThreshold"),
        "{error}"
    );
}

#[test]
fn the_same_lines_have_the_same_answers() {
    let answers = || {
        let mut planner = Planner::start();
        planner.say(POLICY);
        let waiting = [0, 0, 500, 2000, 4000, 100, 0, 0];
        let samples = waiting.iter().enumerate();
        let answers: Vec<Value> = samples
            .map(|(tick, &waiting)| planner.ask(&sample(tick as f64 * 15.0, 6, waiting)))
            .collect();
        assert_eq!(planner.end().0, Some(0));
        answers
    };
    assert_eq!(answers(), answers());
}

#[test]
fn a_bad_line_is_named_by_its_number_and_ends_with_2() {
    for (lines, parts) in [
        (&["what?"][..], ["line 1", "the first line is"]),
        (&[POLICY, "", "{}"], ["line 3", "a sample is"]),
        (
            &[r#"{"policy":{"maxDelay":60},"partitions":48,"partition":1}"#],
            ["line 1", "did you mean partitions?"],
        ),
        (
            &[
                POLICY,
                r#"{"at":0,"replicas":1,"pods":[],"partitions":[{"partition":480000,"end":1,"committed":0}]}"#,
            ],
            ["line 2", "partition 480000"],
        ),
    ] {
        let mut planner = Planner::start();
        for line in lines {
            planner.say(line);
        }
        let (code, output, error) = planner.end();
        assert_eq!((code, output.as_str()), (Some(2), ""), "{lines:?}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

//! `drover simulate` as a program, on the loads of `tests/traces`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use resvg::tiny_skia::Pixmap;
use serde_json::Value;
use tempfile::TempDir;

fn trace(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/traces")
        .join(name)
}

fn simulate(trace: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_drover"))
        .args(["simulate", "--trace"])
        .arg(trace)
        .args(arguments)
        .output()
        .unwrap()
}

fn succeeded(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn failed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Two hours in the middle of a day, quick to replay.
fn bursts(arguments: &[&str]) -> Output {
    let part = ["--from", "8h", "--for", "2h", "--partitions", "12"];
    simulate(&trace("bursts_24h.csv"), &[&part, arguments].concat())
}

#[test]
fn a_table_has_a_line_for_each_policy_and_says_what_was_assumed() {
    let text = succeeded(&bursts(&["--fixed", "6"]));
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("bursts_24h.csv: 2h of load, "),
        "{text}"
    );
    assert!(lines[1].starts_with("12 partitions; a pod does "), "{text}");
    assert!(
        lines[1].contains("no record shall wait longer than 1m; seed 1"),
        "{text}"
    );
    for policy in [
        "drover",
        "keda-lag",
        "keda-lag-tuned",
        "keda-rate",
        "keda-rate-tuned",
        "fixed-6",
    ] {
        let figures = lines
            .iter()
            .filter(|line| line.split_whitespace().next() == Some(policy));
        // Its figures, and what it is.
        assert_eq!(figures.count(), 2, "{policy}: {text}");
    }
    let fixed = lines
        .iter()
        .find(|line| line.starts_with("fixed-6"))
        .unwrap();
    assert_eq!(fixed.split_whitespace().nth(1), Some("12.0"), "{text}");
}

#[test]
fn the_same_seed_gives_the_same_words_and_another_does_not() {
    let json = |seed| succeeded(&bursts(&["--format", "json", "--seed", seed]));
    assert_eq!(json("3"), json("3"));
    assert_ne!(json("3"), json("4"));
}

#[test]
fn json_has_settings_figures_and_every_change_with_its_reason() {
    let text = succeeded(&bursts(&[
        "--format",
        "json",
        "--policy",
        "keda-rate-tuned,drover",
    ]));
    let whole: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(whole["trace"]["seconds"], 7200.0);
    assert_eq!(whole["setup"]["partitions"], 12);
    let runs = whole["runs"].as_array().unwrap();
    let names: Vec<&str> = runs
        .iter()
        .map(|run| run["policy"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["keda-rate-tuned", "drover"]);
    for run in runs {
        let figures = &run["figures"];
        let count = |name: &str| figures[name].as_u64().unwrap();
        assert_eq!(count("arrived"), count("done") + count("left"));
        assert!(figures["podHours"].as_f64().unwrap() > 0.0);
        let changes = run["changes"].as_array().unwrap();
        assert_eq!(changes.len() as u64, count("orders"));
        assert!(!changes.is_empty(), "{run}");
        assert!(
            changes
                .iter()
                .all(|change| change["why"].as_str().unwrap().len() > 5)
        );
    }
}

#[test]
fn a_plot_is_an_svg_with_every_policy_and_other_files_are_refused_with_the_remedy() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("run.svg");
    succeeded(&bursts(&["--plot", file.to_str().unwrap()]));
    let svg = std::fs::read_to_string(&file).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    for policy in [
        "drover",
        "keda-lag",
        "keda-lag-tuned",
        "keda-rate",
        "keda-rate-tuned",
    ] {
        assert_eq!(svg.matches(&format!(">{policy}<")).count(), 1, "{policy}");
    }
    let file = folder.path().join("run.pdf");
    let error = failed(&bursts(&["--plot", file.to_str().unwrap()]));
    assert!(error.contains("ends with .svg or .png"), "{error}");
    assert!(!file.exists());
}

#[test]
fn a_plot_as_png_is_the_same_picture_with_its_words() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("run.png");
    succeeded(&bursts(&[
        "--policy",
        "drover",
        "--plot",
        file.to_str().unwrap(),
    ]));
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"));
    let drawn = Pixmap::decode_png(&bytes).unwrap();
    assert_eq!(drawn.width(), 2200);
    assert!((600..2000).contains(&drawn.height()), "{}", drawn.height());
    // Above the first panel there are only words: the title and what was assumed.
    let head = drawn.pixels().iter().take(2200 * 140);
    let ink = head.filter(|pixel| pixel.red() < 160).count();
    assert!((2_000..60_000).contains(&ink), "{ink}");
}

#[test]
fn faults_are_named_and_felt() {
    let hurt = [
        "--slow-down",
        "0.5",
        "--stuck",
        "10m",
        "--lost-metrics",
        "5m",
        "--policy",
        "keda-lag",
    ];
    let text = succeeded(&bursts(&hurt));
    for words in ["slow down to 0.5", "stuck for 10m", "read for 5m"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let hours = |arguments: &[&str]| {
        let json = succeeded(&bursts(
            &[arguments, &["--format", "json", "--policy", "keda-rate"]].concat(),
        ));
        let whole: Value = serde_json::from_str(&json).unwrap();
        whole["runs"][0]["figures"]["secondsOver"].as_u64().unwrap()
    };
    let (well, limited) = (hours(&[]), hours(&["--downstream-pods", "2"]));
    assert!(
        limited > well + 600,
        "{well} and {limited} seconds over the promise"
    );
}

#[test]
fn what_cannot_be_replayed_is_refused_in_one_line() {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let words = file("words.csv", "t,rate\n0,1\n1,many\n");
    let silent = file("silent.csv", "0,0\n1,0\n");
    let good = trace("workday_24h.csv");
    for (trace, arguments, says) in [
        (folder.path().join("none.csv"), &[][..], "read "),
        (words, &[], "is no trace: line 3: \"1,many\""),
        (silent, &[], "has no records"),
        (good.clone(), &["--from", "25h"], "has 24h of load"),
        (
            good.clone(),
            &["--min", "9", "--max", "4"],
            "--min 9 is more than --max 4",
        ),
        (
            good.clone(),
            &["--max-delay", "0s"],
            "--max-delay must be more",
        ),
        (good, &["--plot", "x.gif"], "ends with .svg"),
    ] {
        let error = failed(&simulate(&trace, arguments));
        assert!(error.contains(says), "{says}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn known_peaks_are_rehearsed_by_the_clock_of_the_load() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("peaks.yaml");
    let peaks = "- { from: '09:30', to: '09:40', timeZone: Europe/Berlin, minReplicas: 12 }\n";
    std::fs::write(&file, peaks).unwrap();
    let path = file.to_str().unwrap();
    let schedule = ["--schedule", path, "--begins", "2026-11-26T00:00:00Z"];
    let told = [&["--policy", "drover", "--format", "json"], &schedule[..]].concat();
    let read: Value = serde_json::from_str(&succeeded(&bursts(&told))).unwrap();
    // What is replayed begins at eight in London, where it is half past eight when the peak begins.
    let raised = read["runs"][0]["changes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|change| {
            change["why"]
                .as_str()
                .unwrap()
                .contains("scaling.schedule[0]")
        });
    let raised = raised.unwrap_or_else(|| panic!("{read}"));
    assert_eq!(raised["to"], 12, "{raised}");
    let at = raised["at"].as_f64().unwrap();
    assert!((1600.0..1800.0).contains(&at), "{raised}");

    let error = failed(&bursts(&["--schedule", path]));
    assert!(error.contains("--begins"), "{error}");
    std::fs::write(&file, peaks.replace("09:40", "09:30")).unwrap();
    let error = failed(&bursts(&schedule));
    assert!(
        error.contains("peaks.yaml: ") && error.contains("ends when it begins"),
        "{error}"
    );
}

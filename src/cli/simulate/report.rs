//! What became of a replay, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::{BUSIEST, Run};
use crate::api::Span;
use crate::plural::noun;
use crate::simulation::{self, Drawing, Lettering, Setup, Trace};

pub(super) fn table(title: &str, setup: &Setup, trace: &Trace, runs: &[Run]) -> String {
    let rows: Vec<_> = runs
        .iter()
        .map(|run| (run.name.clone(), run.outcome.figures.clone()))
        .collect();
    let mut text = format!("{title}: {}\n{}\n\n", load(trace), world(setup));
    text.push_str(&simulation::table(&rows));
    text.push('\n');
    let width = runs.iter().map(|run| run.name.len()).max().unwrap_or(0);
    for run in runs {
        text.push_str(&format!("{:width$}  {}\n", run.name, run.about));
    }
    text
}

pub(super) fn svg(
    title: &str,
    setup: &Setup,
    trace: &Trace,
    runs: &[Run],
    lettering: &dyn Lettering,
) -> String {
    let drawn: Vec<_> = runs
        .iter()
        .map(|run| {
            let outcome = &run.outcome;
            (run.name.as_str(), &outcome.figures, &outcome.course)
        })
        .collect();
    let drawing = Drawing {
        title,
        subtitle: &format!("{}\n{}", load(trace), world(setup)),
        promise: setup.promise,
        runs: &drawn,
    };
    simulation::plot(&drawing, lettering)
}

pub(super) fn json(title: &str, setup: &Setup, trace: &Trace, runs: &[Run]) -> String {
    let run = |run: &Run| {
        json!({
            "policy": run.name,
            "about": run.about,
            "figures": run.outcome.figures,
            "changes": run.outcome.changes,
        })
    };
    let whole = json!({
        "trace": {
            "name": title,
            "seconds": trace.length(),
            "recordsPerSecond": trace.mean(),
            "busiestFiveMinutes": trace.busiest(BUSIEST),
        },
        "setup": setup,
        "runs": runs.iter().map(run).collect::<Vec<Value>>(),
    });
    format!("{whole:#}\n")
}

fn load(trace: &Trace) -> String {
    format!(
        "{} of load, {} records per second on average, {} in the busiest five minutes",
        span(trace.length()),
        number(trace.mean()),
        number(trace.busiest(BUSIEST))
    )
}

fn world(setup: &Setup) -> String {
    let mut text = format!(
        "{} {}; a pod does {} per second and starts in about {}; no record shall wait longer than {}; seed {}",
        setup.partitions,
        noun("partition", setup.partitions),
        number(setup.per_pod),
        span(setup.start_up),
        span(setup.promise),
        setup.seed
    );
    let faults = &setup.faults;
    if let Some(speed) = faults.speed {
        text.push_str(&format!(
            "; in the middle pods slow down to {speed} of their speed"
        ));
    }
    if let Some(pods) = faults.downstream_pods {
        text.push_str(&format!(
            "; behind the handler there is room for {pods} pods' work"
        ));
    }
    if let Some(stuck) = faults.stuck {
        text.push_str(&format!(
            "; in the middle a partition is stuck for {}",
            span(stuck)
        ));
    }
    if let Some(blind) = faults.blind {
        let blind = span(blind);
        text.push_str(&format!(
            "; in the middle no offsets can be read for {blind}"
        ));
    }
    text
}

fn span(seconds: f64) -> String {
    Span(Duration::from_secs_f64((seconds * 1000.0).round() / 1000.0)).to_string()
}

/// Three digits are enough for people.
fn number(value: f64) -> String {
    if value >= 99.5 {
        format!("{value:.0}")
    } else if value >= 9.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

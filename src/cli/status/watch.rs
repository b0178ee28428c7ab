//! A line for whatever changes, as `kubectl get --watch` writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt as _;
use kube::ResourceExt;
use kube::core::DynamicObject;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event, watcher};

use super::list::{self, Columns};
use super::{StatusArgs, kubectl_name, object};
use crate::api::KafkaConsumer;
use crate::cli::cluster::Cluster;
use crate::cli::columns::{aligned_to, widths};
use crate::cli::fit::{cut_lines, wrapped_lines};
use crate::cli::format::Listing;
use crate::cli::output::{print_if_read, unread, width};
use crate::cli::readable::read;
use crate::clock::{self, Monotonic};
use crate::yaml;

/// Narrower than this no column of figures is: they grow.
const LEAST: usize = 7;

/// Refusals one after the other, within some seconds, that an API server may give while it begins.
const REFUSALS: u32 = 3;

/// The last of those refusals, and how many there were.
#[derive(Default)]
struct Refusals(Option<(Monotonic, u32)>);

impl Refusals {
    /// Counts one more.
    fn are_too_many(&mut self) -> bool {
        let before = self.0.take();
        // A longer silence than there is between two questions: it was answered in between.
        let before = before.filter(|(last, _)| last.elapsed() < Duration::from_secs(60));
        let count = before.map_or(0, |(_, count)| count) + 1;
        self.0 = Some((Monotonic::start(), count));
        count > REFUSALS
    }
}

/// What was last written of each, by namespace and name, so that nothing is written twice.
type Written = BTreeMap<(String, String), Shown>;

/// What is shown of one.
#[derive(Clone, PartialEq, Eq, Default)]
struct Shown {
    line: String,
    /// What is not well.
    complaints: Vec<String>,
}

/// Writes those that were found, and then each of them again whenever what is shown of it changes; until nobody reads
/// any more, or somebody ends it.
///
/// # Errors
/// If standard output cannot be written to, or the API server goes on refusing.
pub(super) async fn watch(
    args: &StatusArgs,
    cluster: &Cluster,
    found: Vec<KafkaConsumer>,
) -> anyhow::Result<()> {
    let columns = args.columns();
    let first = list::table(&found, columns);
    let widths: Vec<usize> = widths(&first).into_iter().map(|of| of.max(LEAST)).collect();
    let writer = Writer {
        output: args.output,
        columns,
        widths,
    };
    let mut written = Written::new();
    let mut read_on = match args.output {
        Listing::Table | Listing::Wide => {
            let heading = aligned_to(&writer.widths, &first[..1], "");
            print_if_read(&cut_lines(&heading, writer.room()))?
        }
        Listing::Name | Listing::Json | Listing::Yaml => true,
    };
    for consumer in &found {
        read_on = read_on && writer.write(consumer, &mut written)?;
    }
    if !read_on {
        return Ok(());
    }
    let mut config = watcher::Config::default();
    if let Some(labels) = &args.fleets.selector {
        config = config.labels(labels);
    }
    if let Some(name) = &args.name {
        config = config.fields(&format!("metadata.name={name}"));
    }
    let changes = watcher(cluster.consumers(args.fleets.all_namespaces), config).default_backoff();
    let mut changes = std::pin::pin!(changes);
    let (mut silent, mut refusals) = (false, Refusals::default());
    let mut unread = std::pin::pin!(unread());
    loop {
        let change = tokio::select! {
            change = changes.try_next() => change,
            () = &mut unread => return Ok(()),
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        let change = match change {
            Ok(Some(change)) => change,
            Ok(None) => return Ok(()),
            Err(error) => {
                let (error, is_refusal) = why(cluster, error);
                if is_refusal {
                    if refusals.are_too_many() {
                        return Err(error);
                    }
                    continue;
                }
                if !std::mem::replace(&mut silent, true) {
                    eprintln!("drover: still watching, but {error:#}");
                }
                continue;
            }
        };
        // Only that a list is about to be asked for.
        if !matches!(change, Event::Init) {
            (silent, refusals) = (false, Refusals::default());
        }
        let read_on = match change {
            Event::Apply(object) | Event::InitApply(object) => match seen(&object) {
                Some(consumer) => writer.write(&consumer, &mut written)?,
                None => true,
            },
            Event::Delete(object) => writer.gone(&object, &mut written)?,
            Event::Init | Event::InitDone => true,
        };
        if !read_on {
            return Ok(());
        }
    }
}

/// What is wrong, with what to do, and whether it stays so until somebody gives a right, or installs Drover again.
fn why(cluster: &Cluster, error: watcher::Error) -> (anyhow::Error, bool) {
    use watcher::Error::{
        InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed,
    };
    let error = match error {
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => error,
        WatchError(answer) => kube::Error::Api(answer),
        NoResourceVersion => {
            let error = anyhow::Error::new(NoResourceVersion);
            return (error.context(cluster.server.clone()), false);
        }
    };
    let is_refusal =
        matches!(&error, kube::Error::Api(answer) if [401, 403, 404].contains(&answer.code));
    (cluster.unanswered(error), is_refusal)
}

fn seen(object: &DynamicObject) -> Option<KafkaConsumer> {
    Some(read(serde_json::to_value(object).ok()?)?.consumer)
}

struct Writer {
    output: Listing,
    columns: Columns,
    widths: Vec<usize>,
}

impl Writer {
    /// How wide lines may be, of a terminal that may have been made wider or narrower since the last.
    fn room(&self) -> Option<usize> {
        match self.output {
            Listing::Table => width(),
            Listing::Wide | Listing::Name | Listing::Json | Listing::Yaml => None,
        }
    }

    /// Writes one, if it looks otherwise than before; false if nobody reads any more.
    fn write(&self, consumer: &KafkaConsumer, written: &mut Written) -> anyhow::Result<bool> {
        let now = Shown {
            line: self.line(consumer)?,
            complaints: self.complaints(consumer),
        };
        let key = (
            consumer.namespace().unwrap_or_default(),
            consumer.name_any(),
        );
        let before = written.insert(key, now.clone()).unwrap_or_default();
        let mut text = String::new();
        if now.line != before.line {
            text.push_str(&cut_lines(&now.line, self.room()));
        }
        if causes(&now.complaints) != causes(&before.complaints) {
            text.push_str(&wrapped_lines(&now.complaints.concat(), self.room()));
        }
        match text.as_str() {
            "" => Ok(true),
            text => print_if_read(text),
        }
    }

    /// Says that one is no more; false if nobody reads any more.
    fn gone(&self, object: &DynamicObject, written: &mut Written) -> anyhow::Result<bool> {
        let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
        written.remove(&(namespace.clone(), name.clone()));
        if !matches!(self.output, Listing::Table | Listing::Wide) {
            return Ok(true);
        }
        let name = [name, "deleted".to_owned()];
        let namespace = self.columns.namespaces.then_some(namespace);
        let row = namespace.into_iter().chain(name).collect();
        let line = aligned_to(&self.widths, &[row], "");
        print_if_read(&cut_lines(&line, self.room()))
    }

    fn complaints(&self, consumer: &KafkaConsumer) -> Vec<String> {
        if !matches!(self.output, Listing::Table | Listing::Wide) {
            return Vec::new();
        }
        let label = list::label(consumer, self.columns);
        let lines = list::complaints(consumer, clock::now()).into_iter();
        lines.map(|line| format!("  {label}: {line}\n")).collect()
    }

    fn line(&self, consumer: &KafkaConsumer) -> anyhow::Result<String> {
        Ok(match self.output {
            Listing::Table | Listing::Wide => {
                let row = list::row(consumer, self.columns);
                aligned_to(&self.widths, &[row], "")
            }
            Listing::Name => format!("{}\n", kubectl_name(consumer)),
            // A line for each, as programs read such streams.
            Listing::Json => format!("{}\n", object(consumer)),
            Listing::Yaml => {
                let document = yaml::to_string(&object(consumer));
                format!(
                    "---\n{}\n",
                    document.map_err(|e| anyhow::anyhow!(e))?.trim_end()
                )
            }
        })
    }
}

/// What is complained of, without its figures: those move all the time, and a new cause is news.
fn causes(complaints: &[String]) -> Vec<String> {
    let without = |line: &String| line.replace(|c: char| c.is_ascii_digit(), "");
    complaints.iter().map(without).collect()
}

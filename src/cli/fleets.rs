//! The fleets that a command is asked about where it is not asked about one by its name.

use std::pin::pin;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use futures::{Stream, StreamExt as _, stream};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::cluster::{Cluster, some_labels};
use super::fit::wrapped_lines;
use super::format::Format;
use super::output;
use super::readable::Readable;
use crate::api::KafkaConsumer;

/// Fleets that are asked about at the same time: brokers and the API server have other work.
const AT_ONCE: usize = 8;

/// Which KafkaConsumers, where none is named.
#[derive(Args, Clone, Debug, Default)]
pub struct FleetsArgs {
    /// Only those with these labels, such as team=shop
    #[arg(long, short = 'l', value_name = "LABELS", value_parser = some_labels)]
    pub selector: Option<String>,
    /// All namespaces
    #[arg(long, short = 'A', conflicts_with = "namespace")]
    pub all_namespaces: bool,
}

impl FleetsArgs {
    /// Many are asked for in so many words.
    pub(super) fn are_asked_for(&self) -> bool {
        self.all_namespaces || self.selector.is_some()
    }

    /// All of them, each as far as it can be read.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub(super) async fn list(&self, cluster: &Cluster) -> anyhow::Result<Vec<KafkaConsumer>> {
        let found = self.readables(cluster).await?.into_iter();
        Ok(found.map(|readable| readable.consumer).collect())
    }

    /// The same, with what is wrong with each.
    ///
    /// # Errors
    /// In one line with its remedy.
    pub(super) async fn readables(&self, cluster: &Cluster) -> anyhow::Result<Vec<Readable>> {
        let selector = self.selector.as_deref();
        cluster.readables(self.all_namespaces, selector).await
    }

    /// Which labels they have, behind other words.
    pub(super) fn with_labels(&self) -> String {
        let labels = self.selector.as_ref();
        let labels = labels.map(|labels| format!(" with the labels {labels}"));
        labels.unwrap_or_default()
    }

    /// That there are none.
    pub(super) fn none_found(&self, namespace: &str) -> String {
        let labels = self.with_labels();
        if self.all_namespaces {
            format!("No KafkaConsumers{labels}.")
        } else {
            format!("No KafkaConsumers{labels} in namespace {namespace}; -A shows all namespaces.")
        }
    }
}

/// What a command says of one fleet.
pub(super) struct Answer {
    /// For programs.
    pub value: Value,
    /// For people.
    pub text: String,
}

/// One fleet of many.
pub(super) struct Told {
    namespace: String,
    name: String,
    answer: anyhow::Result<Answer>,
}

/// Asks about each and writes what was found out, with its error in the place of one that could not be told of: for
/// people as soon as it is known of a fleet and of all before it, for programs as one document at the end. Ends with
/// 2 if there was one that could not be told of.
///
/// # Errors
/// If standard output cannot be written to.
pub(super) async fn tell(
    format: Format,
    none_found: &str,
    fleets: Vec<Readable>,
    question: impl AsyncFn(KafkaConsumer) -> anyhow::Result<Answer>,
) -> anyhow::Result<ExitCode> {
    let count = fleets.len();
    let told = ask(fleets, &question);
    let failed = match format {
        Format::Table if count == 0 => {
            output::print(&format!("{none_found}\n"))?;
            0
        }
        Format::Table => {
            let width = output::width();
            write_each(told, |text| {
                output::print_if_read(&wrapped_lines(text, width))
            })
            .await?
        }
        Format::Json | Format::Yaml => {
            let all: Vec<Told> = told.collect().await;
            let items: Vec<_> = all.iter().map(Told::value).collect();
            format.print(|| json!({ "items": items }), String::new)?;
            all.iter().filter(|told| told.answer.is_err()).count()
        }
    };
    if failed == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "drover: {failed} of {count} KafkaConsumers could not be told of; what is wrong stands in their places"
    );
    Ok(ExitCode::from(2))
}

/// Asks about each, a few at a time, in their order; one that cannot be told of hides no other.
fn ask(
    fleets: Vec<Readable>,
    question: &impl AsyncFn(KafkaConsumer) -> anyhow::Result<Answer>,
) -> impl Stream<Item = Told> {
    let asked = fleets.into_iter().map(move |readable| async move {
        let Readable {
            consumer, wrong, ..
        } = readable;
        Told {
            namespace: consumer.namespace().unwrap_or_default(),
            name: consumer.name_any(),
            answer: match wrong {
                Some(why) => Err(anyhow!("it cannot be read: {why}")),
                None => question(consumer).await,
            },
        }
    });
    stream::iter(asked).buffered(AT_ONCE)
}

/// Each below its name; what has several lines stands apart. Ends when nobody reads any more, which `write` tells by
/// false. How many could not be told of.
async fn write_each(
    told: impl Stream<Item = Told>,
    mut write: impl FnMut(&str) -> anyhow::Result<bool>,
) -> anyhow::Result<usize> {
    let mut told = pin!(told);
    let mut failed = 0;
    let mut was_long = None;
    while let Some(one) = told.next().await {
        failed += usize::from(one.answer.is_err());
        let text = one.text();
        let is_long = text.contains('\n');
        let apart = was_long.is_some_and(|was_long| is_long || was_long);
        was_long = Some(is_long);
        let before = if apart { "\n" } else { "" };
        if !write(&format!("{before}{text}\n"))? {
            break;
        }
    }
    Ok(failed)
}

impl Told {
    fn value(&self) -> Value {
        let mut value = json!({ "namespace": self.namespace, "name": self.name });
        let said = match &self.answer {
            Ok(answer) => answer.value.clone(),
            Err(error) => json!({ "error": format!("{error:#}") }),
        };
        if let (Value::Object(value), Value::Object(said)) = (&mut value, said) {
            value.extend(said);
        }
        value
    }

    fn text(&self) -> String {
        let said = match &self.answer {
            Ok(answer) => answer.text.trim_end().to_owned(),
            Err(error) => format!("{error:#}").replace('\n', " "),
        };
        format!("{}/{}: {said}", self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use tokio::sync::Notify;

    use super::*;

    fn told(name: &str, answer: Result<&str, &str>) -> Told {
        let answer = answer.map(|text| Answer {
            value: json!({ "lag": 3 }),
            text: text.to_owned(),
        });
        Told {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            answer: answer.map_err(|why| anyhow!("{why}")),
        }
    }

    /// What is written of them.
    async fn text(told: impl Stream<Item = Told>) -> String {
        let mut text = String::new();
        let write = |part: &str| {
            text.push_str(part);
            Ok(true)
        };
        write_each(told, write).await.unwrap();
        text
    }

    fn readable(number: usize) -> Readable {
        let consumer = serde_json::from_value(json!({
            "apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer",
            "metadata": { "name": format!("fleet-{number}"), "namespace": "shop" },
            "spec": { "kafka": { "bootstrapServers": "kafka:9092" }, "topics": ["orders"],
                "handler": { "http": { "url": "http://orders/kafka" } } },
        }));
        Readable {
            consumer: consumer.unwrap(),
            wrong: (number == 7).then(|| "spec.topics must be a list".to_owned()),
            malformed: number == 7,
        }
    }

    #[tokio::test]
    async fn each_stands_below_its_name_and_an_error_in_its_place() {
        let all = [
            told("a", Ok("nothing waits\n")),
            told("b", Err("no broker\nanswers")),
            told("c", Ok("3 wait\n\nTOPIC\norders\n")),
            told("d", Ok("nothing waits")),
        ];
        let values: Vec<Value> = all.iter().map(Told::value).collect();
        assert_eq!(
            text(stream::iter(all)).await,
            "shop/a: nothing waits\nshop/b: no broker answers\n\nshop/c: 3 wait\n\nTOPIC\norders\n\nshop/d: nothing waits\n"
        );
        assert_eq!(
            values[0],
            json!({ "namespace": "shop", "name": "a", "lag": 3 })
        );
        assert_eq!(
            values[1],
            json!({ "namespace": "shop", "name": "b", "error": "no broker\nanswers" })
        );
    }

    #[test]
    fn who_finds_none_is_told_where_there_might_be_some() {
        let mut fleets = FleetsArgs::default();
        assert_eq!(
            fleets.none_found("shop"),
            "No KafkaConsumers in namespace shop; -A shows all namespaces."
        );
        fleets.selector = Some("team=a".to_owned());
        fleets.all_namespaces = true;
        assert_eq!(
            fleets.none_found("shop"),
            "No KafkaConsumers with the labels team=a."
        );
    }

    #[tokio::test]
    async fn a_few_are_asked_at_a_time_and_stay_in_their_order() {
        let fleets = (0..30).map(readable).collect();
        let (now, most) = (Cell::new(0), Cell::new(0));
        let question = async |consumer: KafkaConsumer| {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            tokio::task::yield_now().await;
            now.set(now.get() - 1);
            Ok(Answer {
                value: json!({}),
                text: consumer.name_any(),
            })
        };
        let text = text(ask(fleets, &question)).await;
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[6], "shop/fleet-6: fleet-6");
        assert_eq!(
            lines[7],
            "shop/fleet-7: it cannot be read: spec.topics must be a list"
        );
        assert_eq!(lines[29], "shop/fleet-29: fleet-29");
        assert!((2..=AT_ONCE).contains(&most.get()), "{}", most.get());
    }
    #[tokio::test]
    async fn a_fleet_is_told_of_while_later_ones_are_waited_for() {
        let (written, was_written) = (RefCell::new(Vec::new()), Notify::new());
        let question = async |consumer: KafkaConsumer| {
            let name = consumer.name_any();
            // The brokers of the second answer only once the first stands there.
            if name == "fleet-1" {
                was_written.notified().await;
                assert_eq!(written.borrow().len(), 1);
            }
            Ok(Answer {
                value: json!({}),
                text: name,
            })
        };
        let told = ask((0..3).map(readable).collect(), &question);
        let failed = write_each(told, |text| {
            written.borrow_mut().push(text.to_owned());
            was_written.notify_one();
            Ok(true)
        });
        assert_eq!(failed.await.unwrap(), 0);
        let lines = ["fleet-0", "fleet-1", "fleet-2"].map(|name| format!("shop/{name}: {name}\n"));
        assert_eq!(*written.borrow(), lines);
    }

    #[tokio::test]
    async fn where_nobody_reads_any_more_no_other_is_waited_for() {
        let all = stream::iter([told("a", Ok("1 waits"))]).chain(stream::pending());
        assert_eq!(write_each(all, |_| Ok(false)).await.unwrap(), 0);
    }
}

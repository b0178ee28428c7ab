//! Where a replayed letter goes, and whether it may.

use std::borrow::Cow;

use anyhow::{bail, ensure};

use super::letter::Letter;
use super::place::Fleet;
use super::printable;
use super::replay::Replay;
use crate::kafka::admin::Error;
use crate::kafka::right::{Operation, Right};

impl Replay {
    /// The topic of the KafkaConsumer's own for what is replayed.
    fn retry_topic(&self) -> Option<&str> {
        self.place.fleet.as_ref()?.retry_topic.as_deref()
    }

    /// The topic that all letters go to, if it is one.
    pub(super) fn for_all(&self) -> Option<&str> {
        let retry = self.retry_topic().filter(|_| !self.wishes.to_source);
        self.kind.to.as_deref().or(retry)
    }

    /// Where a letter goes.
    pub(super) fn destination<'l>(&'l self, letter: &'l Letter<'_>) -> Option<Cow<'l, str>> {
        if let Some(to) = self.for_all() {
            return Some(Cow::Borrowed(to));
        }
        let last = letter.origin_topic()?;
        if Some(last.as_ref()) != self.retry_topic() {
            return Some(last);
        }
        // It failed when it was replayed; the source is where it was first.
        let first = letter.first_origin().and_then(|first| first.topic);
        Some(first.map_or(last, Cow::Owned))
    }

    /// Whether it is taken for the KafkaConsumer's only since it does not say whose it is.
    pub(super) fn is_unclaimed(&self, letter: &Letter<'_>) -> bool {
        self.kind.filter.whose.is_some() && letter.given_up_by().is_none()
    }

    /// Whether a letter may go to the KafkaConsumer's retry topic: its own, or one of a topic that it reads.
    pub(super) fn may_be_retried(&self, letter: &Letter<'_>) -> anyhow::Result<()> {
        let (None, Some(fleet), Some(retry)) = (&self.kind.to, &self.place.fleet, self.for_all())
        else {
            return Ok(());
        };
        match letter.origin_topic() {
            Some(topic) if letter.given_up_by().is_none() && topic != retry => {
                self.is_read(fleet, &topic)
            }
            _ => Ok(()),
        }
    }

    fn is_read(&self, fleet: &Fleet, topic: &str) -> anyhow::Result<()> {
        let words = self.place.reach.words;
        ensure!(
            fleet.topics.iter().any(|known| known == topic),
            "a dead letter says that it came from {}, which KafkaConsumer {} does not read; leave such ones out with {}, or give {}",
            printable(topic),
            fleet.name,
            words.origin_topic,
            words.to
        );
        Ok(())
    }

    /// Of a KafkaConsumer that is known by its name alone letters are moved of one namespace only: a file need not say in
    /// which one it is to be.
    pub(super) fn is_of_one_namespace(
        &self,
        letter: &Letter<'_>,
        seen: &mut Option<String>,
    ) -> anyhow::Result<()> {
        let whose = self.kind.filter.whose.as_ref();
        if whose.is_none_or(|whose| whose.consumer.contains('/')) {
            return Ok(());
        }
        let Some([_, Some(consumer)]) = letter.given_up_by() else {
            return Ok(());
        };
        let Some((namespace, name)) = consumer.split_once('/') else {
            return Ok(());
        };
        let seen = seen.get_or_insert_with(|| namespace.to_owned());
        ensure!(
            *seen == namespace,
            "the dead letters are of KafkaConsumer {name} in namespace {} and in {}, and the file names none; say whose are meant with -n NAMESPACE",
            printable(seen),
            printable(namespace)
        );
        Ok(())
    }

    /// A topic that letters may go to.
    pub(super) fn target(&self, topic: &str) -> anyhow::Result<()> {
        let reach = &self.place.reach;
        let words = reach.words;
        let shown = printable(topic);
        ensure!(
            topic != self.place.topic,
            "a dead letter says that it came from {shown}, the dead-letter topic itself; leave such ones out with {}, or give {}",
            words.origin_topic,
            words.to
        );
        if let (None, Some(fleet)) = (self.for_all(), &self.place.fleet) {
            self.is_read(fleet, topic)?;
        }
        let topics = [topic.to_owned()].into();
        let found = self
            .runtime
            .block_on(self.admin.topics(&topics, true, reach.timeout));
        let what = format!("look for topic {shown}");
        let found = found.map_err(|error| reach.explain(&what, &error))?;
        match found.into_values().next() {
            Some(Ok(found)) if found.may_write == Some(false) => {
                let right = Right::topic(Operation::Write, topic);
                bail!(
                    "{right} is not allowed; {}, or other credentials with {}",
                    right.remedy(),
                    words.property
                )
            }
            Some(Ok(_)) => Ok(()),
            Some(Err(error @ Error::Missing)) if self.for_all().is_none() => bail!(
                "{what}, from which dead letters came: {error}; create it, name those topics whose letters are meant with {}, or name another one for all with {}",
                words.origin_topic,
                words.to
            ),
            Some(Err(error @ Error::Missing)) => bail!(
                "{what}: {error}; create it, or name another one with {}",
                words.to
            ),
            Some(Err(error)) => Err(reach.explain(&what, &error)),
            None => bail!("{what}: no answer; try again"),
        }
    }
}

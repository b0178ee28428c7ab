//! What is known of the fleets, what is selected, and what keys do to it. Pure.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use kube::ResourceExt;

use super::trouble::{Trouble, trouble};
use crate::api::KafkaConsumer;

/// Readings that are kept of each fleet, for its sparklines.
pub(super) const HISTORY: usize = 60;

/// A fleet: `namespace/name`.
pub(super) type Name = (String, String);

/// Everything that is shown.
pub(super) struct Model {
    /// Where: a namespace, or all of them.
    pub place: String,
    pub namespaces: bool,
    pub rows: Vec<Row>,
    pub selected: Option<Name>,
    /// It fills the page.
    pub opened: bool,
    /// Lines of it that are above the page.
    pub scroll: usize,
    /// What the keys do fills the page.
    pub help: bool,
    /// It is asked whether this one shall be paused.
    pub asked: Option<Name>,
    /// What became of the last key.
    pub notice: Option<String>,
    /// The last answer of the API server.
    pub heard: Timestamp,
    /// What keeps it from answering now.
    pub lost: Option<String>,
    /// That nobody writes statuses any more.
    pub vacancy: Option<String>,
    past: BTreeMap<Name, Past>,
}

/// One fleet.
pub(super) struct Row {
    pub name: Name,
    pub consumer: KafkaConsumer,
    pub trouble: Trouble,
    pub past: Past,
}

/// What was read of a fleet before, the newest last.
#[derive(Clone, Default)]
pub(super) struct Past {
    pub lag: VecDeque<Option<i64>>,
    pub pods: VecDeque<Option<i64>>,
}

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Open,
    Back,
    Pause,
    Resume,
    Yes,
    Help,
    Quit,
    Interrupt,
    Suspend,
    /// Only a no to what is asked.
    Other,
}

/// What is to be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Set { name: Name, paused: bool },
    Quit,
    Interrupt,
    Suspend,
}

/// By how many lines a page is turned.
const PAGE: isize = 10;

impl Model {
    /// With the API server's first answer, at `now`.
    pub fn new(
        place: String,
        namespaces: bool,
        consumers: Vec<KafkaConsumer>,
        now: Timestamp,
    ) -> Self {
        let mut model = Self {
            place,
            namespaces,
            rows: Vec::new(),
            selected: None,
            opened: false,
            scroll: 0,
            help: false,
            asked: None,
            notice: None,
            heard: now,
            lost: None,
            vacancy: None,
            past: BTreeMap::new(),
        };
        model.heard(consumers, now);
        model
    }

    /// The API server has answered at `now`.
    pub fn heard(&mut self, consumers: Vec<KafkaConsumer>, now: Timestamp) {
        self.heard = now;
        self.lost = None;
        let mut past = std::mem::take(&mut self.past);
        self.rows = consumers
            .into_iter()
            .map(|consumer| {
                let namespace = consumer.namespace().unwrap_or_default();
                let name = (namespace, consumer.name_any());
                let mut past = past.remove(&name).unwrap_or_default();
                let status = consumer.status.as_ref();
                past.push(
                    status.and_then(|status| status.lag),
                    status.and_then(|status| status.ready_replicas.map(i64::from)),
                );
                self.past.insert(name.clone(), past.clone());
                Row {
                    trouble: trouble(&consumer),
                    name,
                    consumer,
                    past,
                }
            })
            .collect();
        self.rows.sort_by(|a, b| {
            a.trouble
                .rank()
                .cmp(&b.trouble.rank())
                .then_with(|| a.name.cmp(&b.name))
        });
        // The cursor stays with its fleet, wherever that has gone.
        if self.index().is_none() {
            self.opened = false;
            self.asked = None;
            self.selected = self.rows.first().map(|row| row.name.clone());
        }
    }

    /// It has not, for this reason.
    pub fn unheard(&mut self, why: String) {
        self.lost = Some(why);
    }

    /// The row of the cursor.
    pub fn row(&self) -> Option<&Row> {
        self.index().map(|index| &self.rows[index])
    }

    /// Its place.
    pub fn index(&self) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        self.rows.iter().position(|row| row.name == *selected)
    }

    /// A key was pressed.
    pub fn press(&mut self, key: Key) -> Option<Wish> {
        match key {
            Key::Quit => return Some(Wish::Quit),
            Key::Interrupt => return Some(Wish::Interrupt),
            Key::Suspend => return Some(Wish::Suspend),
            _ => {}
        }
        self.notice = None;
        if let Some(name) = self.asked.take() {
            let paused = true;
            return (key == Key::Yes).then_some(Wish::Set { name, paused });
        }
        if std::mem::take(&mut self.help) {
            return None;
        }
        match key {
            Key::Up => self.move_by(-1),
            Key::Down => self.move_by(1),
            Key::PageUp => self.move_by(-PAGE),
            Key::PageDown => self.move_by(PAGE),
            Key::First => self.move_by(isize::MIN),
            Key::Last => self.move_by(isize::MAX),
            Key::Open => {
                self.opened = self.row().is_some();
                self.scroll = 0;
            }
            Key::Back => self.opened = false,
            Key::Help => self.help = true,
            Key::Pause => self.asked = self.paused(false),
            Key::Resume => {
                let paused = false;
                return self.paused(true).map(|name| Wish::Set { name, paused });
            }
            Key::Yes | Key::Other | Key::Quit | Key::Interrupt | Key::Suspend => {}
        }
        None
    }

    /// The fleet of the cursor, if it is paused, or if it is not; else says why nothing is done.
    fn paused(&mut self, paused: bool) -> Option<Name> {
        let row = self.row()?;
        if row.consumer.spec.paused == paused {
            return Some(row.name.clone());
        }
        let is = if paused {
            "is not paused"
        } else {
            "is paused already"
        };
        self.notice = Some(format!("{} {is}", row.name.1));
        None
    }

    /// The cursor; or the page, where one fleet fills it.
    fn move_by(&mut self, by: isize) {
        if self.opened {
            self.scroll = self.scroll.saturating_add_signed(by);
            return;
        }
        let Some(last) = self.rows.len().checked_sub(1) else {
            return;
        };
        let index = self
            .index()
            .unwrap_or(0)
            .saturating_add_signed(by)
            .min(last);
        self.selected = Some(self.rows[index].name.clone());
    }
}

impl Past {
    fn push(&mut self, lag: Option<i64>, pods: Option<i64>) {
        for (values, value) in [(&mut self.lag, lag), (&mut self.pods, pods)] {
            values.push_back(value);
            while values.len() > HISTORY {
                values.pop_front();
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests;

//! `spec.scaling.schedule`: known peaks.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::text;

/// A known peak: while it lasts there are more pods at least. It lasts from the first moment at which
/// clocks of the zone show `from` to the last at which they show `to`, also where they are put forward or back.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    { "rule": "(has(self.days) ? 1 : 0) + (has(self.daysOfMonth) ? 1 : 0) + (has(self.dates) ? 1 : 0) <= 1", "message": "an entry of spec.scaling.schedule has more than one of days, daysOfMonth and dates; keep one, and write another entry for the other" },
    { "rule": "self.from != self.to", "message": "an entry of spec.scaling.schedule ends when it begins; choose another to, or leave from and to out for the whole day" }
]))]
pub struct Peak {
    /// On these days of the week, such as `[Mon, Fri]`. At most one of `days`, `daysOfMonth` and `dates`; with
    /// none of them, every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub days: Vec<Day>,

    /// On these days of every month. For one that a month does not have its last day stands: 31 is
    /// always the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 31), inner(range(min = 1, max = 31)), extend("x-kubernetes-list-type" = "set"))]
    pub days_of_month: Vec<u8>,

    /// On these days only, such as `["2026-11-27"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "text::dates")]
    pub dates: Vec<String>,

    /// When it begins, on each of the days. Default `00:00`.
    #[serde(default = "Peak::default_from")]
    #[schemars(schema_with = "text::time_of_day")]
    pub from: String,

    /// When it ends: later on the same day, or, if that is before `from`, on the next. Default `24:00`,
    /// the end of the day.
    #[serde(default = "Peak::default_to")]
    #[schemars(schema_with = "text::end_of_day")]
    pub to: String,

    /// Whose clock that is, such as `Europe/Berlin` or `UTC`: a name of the IANA time zone database.
    #[schemars(schema_with = "text::time_zone")]
    pub time_zone: String,

    /// Pods at least, while it lasts. Where peaks overlap the highest counts, `scaling.minReplicas` among them.
    #[schemars(range(min = 1, max = 10000))]
    pub min_replicas: u32,
}

impl Peak {
    fn default_from() -> String {
        "00:00".to_owned()
    }

    fn default_to() -> String {
        "24:00".to_owned()
    }
}

impl fmt::Display for Peak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |items: Vec<String>| items.join(", ");
        let days = if !self.days.is_empty() {
            listed(self.days.iter().map(|day| format!("{day:?}")).collect())
        } else if !self.days_of_month.is_empty() {
            let days = self.days_of_month.iter().map(ToString::to_string);
            format!("day {} of the month", listed(days.collect()))
        } else if !self.dates.is_empty() {
            listed(self.dates.clone())
        } else {
            "every day".to_owned()
        };
        write!(
            f,
            "{} at least, {days} from {} to {} in {}",
            self.min_replicas, self.from, self.to, self.time_zone
        )
    }
}

/// A day of the week.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

//! Why the next smaller size is not enough, for people.

use std::fmt;

use super::reason::number;

/// The next smaller size, and what is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Smaller {
    /// It.
    pub size: u32,
    /// Why it is not enough.
    pub why: TooFew,
}

/// Why a size is not enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TooFew {
    /// It has turned out too small for such a load.
    AsBefore,
    /// It does less than what comes, or came of late.
    Slower {
        /// Records per second that it does.
        does: f64,
        /// Records per second that a pod does.
        per_pod: f64,
        /// Records per second that came.
        comes: f64,
    },
    /// It would do now, but the same load has taken more.
    AtTimes {
        /// So many pods' worth.
        worth: f64,
    },
    /// A record would have waited for so many seconds with it, of late.
    Waits {
        /// Seconds.
        seconds: f64,
    },
    /// What came of late would bring the pods back.
    Rush,
}

impl fmt::Display for Smaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.size;
        match self.why {
            TooFew::AsBefore => write!(f, "{size} were too few for such a load"),
            TooFew::Slower {
                does,
                per_pod,
                comes,
            } => write!(
                f,
                "{size} would do {} per second (a pod does {}, and the busiest is full first), and up to {} came of late",
                number(does),
                number(per_pod),
                number(comes)
            ),
            TooFew::AtTimes { worth } => write!(
                f,
                "{size} would do now, but the same load has taken {} pods' worth",
                number(worth)
            ),
            TooFew::Waits { seconds } => write!(
                f,
                "with {size} a record of the last two minutes would have waited {seconds:.0}s"
            ),
            TooFew::Rush => write!(
                f,
                "what came in the last two minutes would bring the others back"
            ),
        }
    }
}

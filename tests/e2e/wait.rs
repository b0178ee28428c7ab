//! Waiting for a condition, with a deadline and the last thing that was seen.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use drover::clock::Monotonic;

/// How often a condition is looked at.
const PERIOD: Duration = Duration::from_millis(250);

/// Looks until `enough` holds of what `look` gives, and returns that.
///
/// # Panics
/// At the deadline, with what was seen last.
pub async fn until<T, F>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> F,
    enough: impl Fn(&T) -> bool,
) -> T
where
    T: Debug,
    F: Future<Output = anyhow::Result<T>>,
{
    let clock = Monotonic::start();
    loop {
        let seen = look().await;
        if let Ok(value) = &seen
            && enough(value)
        {
            return seen.expect("just matched as Ok");
        }
        assert!(
            clock.elapsed() < deadline,
            "waited {deadline:?} for {what}; last seen: {seen:#?}"
        );
        tokio::time::sleep(PERIOD).await;
    }
}

/// Looks for `span`, and fails as soon as `holds` does not.
pub async fn throughout<T, F>(
    what: &str,
    span: Duration,
    mut look: impl FnMut() -> F,
    holds: impl Fn(&T) -> bool,
) where
    T: Debug,
    F: Future<Output = anyhow::Result<T>>,
{
    let clock = Monotonic::start();
    while clock.elapsed() < span {
        match look().await {
            Ok(seen) => assert!(holds(&seen), "{what} does not hold: {seen:#?}"),
            Err(error) => panic!("{what}: {error:#}"),
        }
        tokio::time::sleep(PERIOD).await;
    }
}

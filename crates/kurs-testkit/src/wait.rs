//! Waiting for a condition.

use std::future::Future;
use std::time::{Duration, Instant};

/// Time between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until the condition gives something, looking again every few milliseconds.
///
/// # Panics
/// When the deadline passes first; `what` says what was waited for.
pub async fn until<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    until_async(what, deadline, || std::future::ready(condition())).await
}

/// The same for a condition that has to be asked asynchronously.
///
/// # Panics
/// When the deadline passes first, or one asking takes until then.
pub async fn until_async<T, F>(
    what: &str,
    deadline: Duration,
    mut condition: impl FnMut() -> F,
) -> T
where
    F: Future<Output = Option<T>>,
{
    let end = Instant::now() + deadline;
    loop {
        let asked = tokio::time::timeout_at(end.into(), condition()).await;
        if let Ok(Some(found)) = asked {
            return found;
        }
        assert!(
            Instant::now() < end,
            "waited {deadline:?} in vain for: {what}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_returns_as_soon_as_the_condition_holds() {
        let mut looks = 0;
        let found = until("three looks", Duration::from_secs(30), || {
            looks += 1;
            (looks == 3).then_some("found")
        });
        assert_eq!(found.await, "found");
    }

    #[tokio::test]
    #[should_panic(expected = "in vain for: the impossible")]
    async fn it_says_what_it_waited_for() {
        let () = until("the impossible", Duration::from_millis(20), || None).await;
    }
}

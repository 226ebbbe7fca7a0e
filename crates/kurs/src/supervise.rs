//! Keeps a part of the process running: a panic is contained, counted, and ends only that part.

use kurs_telemetry::metrics::Counter;
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;

/// Wait before a part that panicked is started again.
const RESTART: Duration = Duration::from_secs(1);

/// Runs `start()` and, if it ends by a panic, runs it again after a second, until `stopped`
/// turns true. A part that ends by itself is done.
pub async fn supervise<F, W>(
    name: &'static str,
    panics: Counter,
    mut stopped: watch::Receiver<bool>,
    start: F,
) where
    F: Fn() -> W,
    W: Future<Output = ()> + Send + 'static,
{
    loop {
        match tokio::spawn(start()).await {
            Ok(()) => return,
            Err(error) if error.is_panic() => {
                panics.inc();
                kurs_telemetry::critical!(
                    part = name,
                    "a part of kurs panicked, starting it again"
                );
            }
            Err(_) => return,
        }
        tokio::select! {
            () = tokio::time::sleep(RESTART) => {}
            _ = stopped.wait_for(|ended| *ended) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_counted_and_the_part_runs_again() {
        let panics = Counter::default();
        let runs = Arc::new(AtomicUsize::new(0));
        let (_stop, stopped) = watch::channel(false);
        supervise("test", panics.clone(), stopped, || {
            let runs = Arc::clone(&runs);
            async move {
                assert!(runs.fetch_add(1, Ordering::Relaxed) > 1, "on purpose");
            }
        })
        .await;
        assert_eq!(runs.load(Ordering::Relaxed), 3);
        assert_eq!(panics.get(), 2);
    }
}

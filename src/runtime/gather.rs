//! Requests for a look that come in crowds, gathered into one look each.

use std::collections::HashSet;
use std::hash::Hash;
use std::time::Duration;

use futures::{Stream, stream};
use tokio::sync::mpsc::UnboundedReceiver;

/// Yields each that is asked for within `time` of the first request once, at the end of it. However many go on asking, nobody waits
/// for longer: a debounce (`kube::runtime`'s `Config::debounce`), which begins again with each request, would put off a connection
/// for as long as any of its thousands of users changes.
pub fn gathered<T>(asked: UnboundedReceiver<T>, time: Duration) -> impl Stream<Item = T> + Send + 'static
where
    T: Eq + Hash + Send + 'static,
{
    stream::unfold((asked, Vec::new()), move |(mut asked, mut ready)| async move {
        if ready.is_empty() {
            let mut all = HashSet::from([asked.recv().await?]);
            if !time.is_zero() {
                tokio::time::sleep(time).await;
                while let Ok(next) = asked.try_recv() {
                    all.insert(next);
                }
            }
            ready.extend(all);
        }
        ready.pop().map(|next| (next, (asked, ready)))
    })
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::sync::mpsc::unbounded_channel;
    use tokio::time::{Instant, sleep};

    use super::*;

    const TIME: Duration = Duration::from_secs(2);

    /// Time is faked: it passes when nobody has anything to do.
    #[tokio::test(start_paused = true)]
    async fn who_is_asked_for_again_and_again_is_looked_at_all_the_same() {
        let (ask, asked) = unbounded_channel();
        tokio::spawn(async move {
            while ask.send("prod").is_ok() {
                sleep(TIME / 4).await;
            }
        });
        let mut looks = std::pin::pin!(gathered(asked, TIME));
        let start = Instant::now();
        for look in 1..=3 {
            assert_eq!(looks.next().await, Some("prod"));
            assert!(start.elapsed() <= (TIME + TIME / 4) * look, "look {look} came after {:?}", start.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_is_one_look_each_and_none_is_lost() {
        let (ask, asked) = unbounded_channel();
        for name in ["prod", "test", "prod", "prod", "test"] {
            ask.send(name).unwrap();
        }
        drop(ask);
        let mut looks: Vec<_> = gathered(asked, TIME).collect().await;
        looks.sort_unstable();
        assert_eq!(looks, ["prod", "test"]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_time_to_gather_each_comes_at_once() {
        let (ask, asked) = unbounded_channel();
        ask.send(1).unwrap();
        ask.send(2).unwrap();
        drop(ask);
        let start = Instant::now();
        assert_eq!(gathered(asked, Duration::ZERO).collect::<Vec<_>>().await, [1, 2]);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

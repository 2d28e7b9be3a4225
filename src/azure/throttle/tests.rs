//! The waiting around the buckets, on a paused clock.

use reqwest::header::HeaderValue;

use super::*;

const SMALL: Size = Size { capacity: 1.0, per_second: 1.0 };

fn key() -> Key {
    Key { identity: "p".into(), subscription: Some("s".into()), kind: Kind::Writes }
}

async fn go(throttle: &Arc<Throttle>, priority: Priority) -> Result<Permit, ArmError> {
    throttle.acquire(key(), SMALL, "/subscriptions/s/x", priority).await
}

fn refused(code: &str) -> ArmError {
    ArmError::from_answer(429, format!(r#"{{"error":{{"code":"{code}","message":""}}}}"#).as_bytes(), "/x").with_head(
        Some(429),
        Some(Duration::from_secs(3)),
        None,
    )
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_go_by_priority_at_the_refill_s_pace() {
    let throttle = Throttle::new(ThrottlePace::default());
    let start = Instant::now();
    drop(go(&throttle, Priority::Change).await.unwrap());
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for priority in [Priority::Resync, Priority::Change, Priority::Urgent, Priority::Urgent] {
        let (throttle, order) = (Arc::clone(&throttle), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            let _permit = go(&throttle, priority).await.unwrap();
            order.lock().unwrap().push((priority, start.elapsed().as_secs()));
        }));
        tokio::task::yield_now().await;
    }
    futures::future::join_all(tasks).await;
    use Priority::{Change, Resync, Urgent};
    assert_eq!(*order.lock().unwrap(), [(Urgent, 1), (Urgent, 2), (Change, 3), (Resync, 4)]);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_lets_the_next_one_go() {
    let throttle = Throttle::new(ThrottlePace::default());
    let start = Instant::now();
    drop(go(&throttle, Priority::Change).await.unwrap());
    let gone = tokio::time::timeout(Duration::from_millis(500), go(&throttle, Priority::Urgent));
    let (gone, next) = tokio::join!(gone, go(&throttle, Priority::Resync));
    assert!(gone.is_err() && next.is_ok());
    assert_eq!(start.elapsed().as_secs(), 1);
    assert!(throttle.waiting().is_empty());
}

#[tokio::test(start_paused = true)]
async fn without_buckets_only_arm_s_word_slows_down() {
    let throttle = Throttle::new(ThrottlePace { buckets: false, ..ThrottlePace::default() });
    let start = Instant::now();
    for _ in 0..1000 {
        drop(go(&throttle, Priority::Change).await.unwrap());
    }
    assert!(start.elapsed() < Duration::from_millis(1));
    let permit = go(&throttle, Priority::Change).await.unwrap();
    permit.learn("/x", &HeaderMap::new(), Some(&refused("SubscriptionRequestsThrottled")));
    drop(go(&throttle, Priority::Change).await.unwrap());
    assert_eq!(start.elapsed().as_secs(), 3, "a short pause is waited for");
}

#[tokio::test(start_paused = true)]
async fn a_long_pause_frees_those_who_wait_and_says_when_to_come_back() {
    let throttle = Throttle::new(ThrottlePace { longest_wait: Duration::from_secs(2), ..ThrottlePace::default() });
    let permit = go(&throttle, Priority::Change).await.unwrap();
    let waiter = tokio::spawn({
        let throttle = Arc::clone(&throttle);
        async move { go(&throttle, Priority::Change).await.map(|_| ()) }
    });
    tokio::task::yield_now().await;
    permit.learn("/x", &HeaderMap::new(), Some(&refused("SubscriptionRequestsThrottled")));
    let error = waiter.await.unwrap().unwrap_err();
    assert_eq!((error.class, error.retry_after), (ErrorClass::Throttled, Some(Duration::from_secs(3))));
    assert!(!error.outcome_unknown());
}

#[tokio::test(start_paused = true)]
async fn a_429_is_the_subscription_s_only_if_it_says_so() {
    let mut empty = HeaderMap::new();
    empty.insert("x-ms-ratelimit-remaining-subscription-writes", HeaderValue::from_static("0"));
    let mut full = HeaderMap::new();
    full.insert("x-ms-ratelimit-remaining-subscription-writes", HeaderValue::from_static("150"));
    for (code, headers, everybody) in [
        ("SubscriptionRequestsThrottled", &full, true),
        ("TooManyRequests", &empty, true),
        ("TooManyRequests", &full, false),
        ("TooManyRequests", &HeaderMap::new(), false),
        ("RetryableErrorDueToAnotherOperation", &empty, false),
        ("NeverHeardOf", &full, false),
    ] {
        assert_eq!(is_arm_s_own(headers, &key(), &refused(code)), everybody, "{code} {headers:?}");
    }
    let mut told = refused("Unheard");
    told.message =
        "The request for subscription 's' could not be processed due to an excessive volume of traffic.".into();
    assert!(is_arm_s_own(&HeaderMap::new(), &key(), &told));
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_hears_what_remains_and_until_when_there_is_a_pause() {
    let heard: Arc<Mutex<Vec<Level>>> = Arc::default();
    let told = Arc::clone(&heard);
    let hook: LevelHook = Arc::new(move |_, level| told.lock().unwrap().push(level));
    let throttle = Throttle::watched(ThrottlePace::default(), Some(hook));
    let permit = go(&throttle, Priority::Change).await.unwrap();
    assert_eq!(heard.lock().unwrap()[..], [Level { remaining: 0, paused_until: None }]);
    permit.learn("/x", &HeaderMap::new(), Some(&refused("SubscriptionRequestsThrottled")));
    let last = *heard.lock().unwrap().last().unwrap();
    assert!(last.paused_until.is_some_and(|until| until > SystemTime::now()), "{last:?}");
}

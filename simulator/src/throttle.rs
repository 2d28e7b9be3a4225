//! ARM's token buckets (Microsoft's page on ARM throttling): one for each principal, subscription and kind of request,
//! one for each subscription and kind that all principals share, and one for each principal and kind outside any
//! subscription.

use std::collections::HashMap;

use crate::error::ArmError;
use crate::http::Reply;
use crate::settings::{Bucket, Buckets};

/// How much larger the bucket is that all principals of a subscription share.
const SHARED: f64 = 15.0;

/// The kinds of requests that have buckets of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Reads,
    Writes,
    Deletes,
}

impl Kind {
    /// The kind of bucket a method draws from.
    pub(crate) fn of(method: &str) -> Self {
        match method {
            "GET" | "HEAD" => Self::Reads,
            "DELETE" => Self::Deletes,
            // POST actions count as writes (field report).
            _ => Self::Writes,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Deletes => "deletes",
        }
    }

    fn bucket(self, buckets: &Buckets) -> Bucket {
        match self {
            Self::Reads => buckets.reads,
            Self::Writes => buckets.writes,
            Self::Deletes => buckets.deletes,
        }
    }
}

/// How full a bucket is, and the simulated time of which that is true.
#[derive(Clone, Copy, Debug)]
struct Level {
    tokens: f64,
    at: i64,
}

impl Level {
    fn refill(&mut self, bucket: Bucket, now: i64) {
        let passed = (now - self.at).max(0) as f64 / 1000.0;
        self.tokens = (self.tokens + passed * bucket.refill_per_second).min(bucket.size);
        self.at = now;
    }

    /// After how many whole seconds there is a token.
    fn wait(self, bucket: Bucket) -> u64 {
        let missing = (1.0 - self.tokens).max(0.0);
        (missing / bucket.refill_per_second.max(f64::MIN_POSITIVE)).ceil().clamp(1.0, 3600.0) as u64
    }
}

/// What a bucket belongs to. An empty principal stands for all of them, an empty subscription for none.
type Owner = (String, String, Kind);

/// The levels of all buckets.
#[derive(Debug, Default)]
pub(crate) struct Throttle(HashMap<Owner, Level>);

/// What remains after a request, for the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remaining {
    kind: Kind,
    own: u64,
    /// Of the bucket that the subscription's principals share.
    shared: Option<u64>,
}

/// A bucket is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Throttled {
    kind: Kind,
    subscription: Option<String>,
    wait: u64,
}

impl Throttle {
    /// Takes one token of each bucket that the request draws from, or of none if one of them is empty.
    pub(crate) fn take(
        &mut self,
        buckets: &Buckets,
        principal: &str,
        subscription: Option<&str>,
        kind: Kind,
        now: i64,
    ) -> Result<Remaining, Throttled> {
        let bucket = kind.bucket(buckets);
        let shared = Bucket { size: bucket.size * SHARED, refill_per_second: bucket.refill_per_second * SHARED };
        let own_key = (principal.to_owned(), subscription.unwrap_or_default().to_owned(), kind);
        let shared_key = subscription.map(|subscription| (String::new(), subscription.to_owned(), kind));
        let mut level = |key: &Owner, bucket: Bucket| {
            let level = self.0.entry(key.clone()).or_insert(Level { tokens: bucket.size, at: now });
            level.refill(bucket, now);
            *level
        };
        let own = level(&own_key, bucket);
        let all = shared_key.as_ref().map(|key| level(key, shared));
        let waits = [Some((own, bucket)), all.map(|all| (all, shared))].into_iter().flatten();
        let empty = waits.filter(|(level, _)| level.tokens < 1.0).map(|(level, bucket)| level.wait(bucket)).max();
        if let Some(wait) = empty {
            return Err(Throttled { kind, subscription: subscription.map(str::to_owned), wait });
        }
        for key in [Some(&own_key), shared_key.as_ref()].into_iter().flatten() {
            if let Some(level) = self.0.get_mut(key) {
                level.tokens -= 1.0;
            }
        }
        Ok(Remaining { kind, own: (own.tokens - 1.0) as u64, shared: all.map(|all| (all.tokens - 1.0) as u64) })
    }

    /// Fills every bucket.
    pub(crate) fn reset(&mut self) {
        self.0.clear();
    }
}

impl Remaining {
    /// What a client is told while the buckets are off: those just touched.
    pub(crate) fn untouched(buckets: &Buckets, in_subscription: bool, kind: Kind) -> Self {
        let less_one = |size: f64| (size - 1.0).max(0.0) as u64;
        let size = kind.bucket(buckets).size;
        Self { kind, own: less_one(size), shared: in_subscription.then(|| less_one(size * SHARED)) }
    }

    /// Adds the headers that tell.
    pub(crate) fn headers(self, reply: Reply) -> Reply {
        let Self { kind, own, shared } = self;
        let name = kind.name();
        let Some(shared) = shared else {
            return reply.header(&format!("x-ms-ratelimit-remaining-tenant-{name}"), own.to_string());
        };
        reply
            .header(&format!("x-ms-ratelimit-remaining-subscription-{name}"), own.to_string())
            .header(&format!("x-ms-ratelimit-remaining-subscription-global-{name}"), shared.to_string())
    }
}

impl From<Throttled> for Reply {
    fn from(Throttled { kind, subscription, wait }: Throttled) -> Self {
        let name = kind.name();
        let (code, owner, header) = match subscription {
            // The code is that of Microsoft's page on troubleshooting it in AKS. Chosen: the sentence, the page's without the actor.
            Some(id) => ("SubscriptionRequestsThrottled", format!("subscription '{id}'"), "subscription"),
            // Chosen: the code for a tenant's empty bucket, after the one for subscriptions.
            None => ("TenantRequestsThrottled", "the tenant".to_owned(), "tenant"),
        };
        let message =
            format!("Number of {name} for {owner} exceeded the limit. Please try again after '{wait}' seconds.");
        let error = ArmError::new(429, code, message).with_header("Retry-After", wait.to_string());
        Self::from(error).header(&format!("x-ms-ratelimit-remaining-{header}-{name}"), "0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets() -> Buckets {
        let bucket = Bucket { size: 2.0, refill_per_second: 0.5 };
        Buckets { reads: bucket, writes: bucket, deletes: bucket }
    }

    #[test]
    fn each_principal_subscription_and_kind_has_its_own() {
        let mut throttle = Throttle::default();
        let mut take = |who, subscription, kind, now| throttle.take(&buckets(), who, subscription, kind, now);
        assert!(take("a", Some("s"), Kind::Reads, 0).is_ok());
        assert!(take("a", Some("s"), Kind::Reads, 0).is_ok());
        let refused = take("a", Some("s"), Kind::Reads, 0).unwrap_err();
        assert_eq!(refused.wait, 2);
        for (who, subscription, kind) in [
            ("b", Some("s"), Kind::Reads),
            ("a", Some("t"), Kind::Reads),
            ("a", Some("s"), Kind::Writes),
            ("a", None, Kind::Reads),
        ] {
            assert!(take(who, subscription, kind, 0).is_ok(), "{who} {subscription:?} {kind:?}");
        }
        assert!(take("a", Some("s"), Kind::Reads, 1999).is_err());
        assert!(take("a", Some("s"), Kind::Reads, 2000).is_ok());
    }

    #[test]
    fn all_principals_together_share_fifteen_times_as_much() {
        let mut throttle = Throttle::default();
        let mut take = |who: usize| throttle.take(&buckets(), &who.to_string(), Some("s"), Kind::Reads, 0);
        let first = take(0).unwrap();
        assert_eq!((first.own, first.shared), (1, Some(29)));
        for who in 1..30 {
            take(who).unwrap();
        }
        assert!(take(30).is_err());
    }
}

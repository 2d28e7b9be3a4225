//! ARM's token buckets: one for each principal, subscription and kind of request (Microsoft's page on ARM throttling).

use std::collections::BTreeMap;

use crate::settings::{Bucket, Buckets};

/// The kind of bucket a method draws from.
pub(crate) fn kind(method: &str) -> &'static str {
    match method {
        "GET" | "HEAD" => "reads",
        "DELETE" => "deletes",
        // POST actions count as writes (field report).
        _ => "writes",
    }
}

fn size(buckets: &Buckets, kind: &str) -> Bucket {
    match kind {
        "reads" => buckets.reads,
        "deletes" => buckets.deletes,
        _ => buckets.writes,
    }
}

#[derive(Debug, Default)]
pub(crate) struct Throttle {
    levels: BTreeMap<(String, String, &'static str), (f64, i64)>,
}

impl Throttle {
    /// Takes one token: what remains, or after how many whole seconds there is one.
    pub(crate) fn take(
        &mut self,
        buckets: &Buckets,
        principal: &str,
        subscription: &str,
        kind: &'static str,
        now: i64,
    ) -> Result<u64, u64> {
        let bucket = size(buckets, kind);
        let entry =
            self.levels.entry((principal.to_owned(), subscription.to_owned(), kind)).or_insert((bucket.size, now));
        let passed = (now - entry.1).max(0) as f64 / 1000.0;
        entry.0 = (entry.0 + passed * bucket.refill_per_second).min(bucket.size);
        entry.1 = now;
        if entry.0 >= 1.0 {
            entry.0 -= 1.0;
            return Ok(entry.0 as u64);
        }
        let wait = (1.0 - entry.0) / bucket.refill_per_second.max(f64::MIN_POSITIVE);
        Err(wait.ceil().clamp(1.0, 3600.0) as u64)
    }

    /// What a client is told while the buckets are off: a bucket just touched.
    pub(crate) fn untouched(buckets: &Buckets, kind: &str) -> u64 {
        (size(buckets, kind).size - 1.0).max(0.0) as u64
    }

    pub(crate) fn reset(&mut self) {
        self.levels.clear();
    }
}

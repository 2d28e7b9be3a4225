use arm_simulator::{Bucket, Buckets, Settings};

use crate::lab::{GROUP, Lab, SUB, assignment, principal, seed};

const GROUPS: &str = "2021-04-01";

fn small(size: f64) -> Settings {
    let bucket = Bucket { size, refill_per_second: 1.0 };
    let buckets = Buckets { reads: bucket, writes: bucket, deletes: bucket };
    Settings { throttle: true, buckets, clock_speed: 0.0, ..Settings::fast() }
}

#[tokio::test]
async fn a_greedy_principal_does_not_starve_the_others_until_the_subscription_is_empty() {
    let mut seed = seed();
    seed.role_assignments.push(assignment("/", "Reader", "guest-object"));
    let lab = Lab::with(seed, small(2.0)).await;
    let first = lab.get(GROUP, GROUPS).await.expect(200);
    assert_eq!(first.header("x-ms-ratelimit-remaining-subscription-reads"), Some("1"));
    assert_eq!(first.header("x-ms-ratelimit-remaining-subscription-global-reads"), Some("29"));
    lab.get(GROUP, GROUPS).await.expect(200);
    let refused = lab.get(GROUP, GROUPS).await.expect(429);
    assert_eq!((refused.code(), refused.header("Retry-After")), ("SubscriptionRequestsThrottled", Some("1")));
    assert_eq!(refused.header("x-ms-ratelimit-remaining-subscription-reads"), Some("0"));

    let guest = lab.sign_in("guest").await;
    let url = format!("{GROUP}?api-version={GROUPS}");
    let other = lab.send("GET", &url, &guest, None).await.unwrap().expect(200);
    assert_eq!(other.header("x-ms-ratelimit-remaining-subscription-global-reads"), Some("27"));
    lab.sim.clock().advance(std::time::Duration::from_secs(1));
    lab.get(GROUP, GROUPS).await.expect(200);
}

#[tokio::test]
async fn many_principals_empty_what_they_share() {
    let mut seed = seed();
    for number in 0..16 {
        seed.service_principals.push(principal(&format!("p{number}")));
        seed.role_assignments.push(assignment("/", "Reader", &format!("p{number}-object")));
    }
    let lab = Lab::with(seed, small(1.0)).await;
    let url = format!("{GROUP}?api-version={GROUPS}");
    let mut statuses = Vec::new();
    for number in 0..16 {
        let token = lab.sign_in(&format!("p{number}")).await;
        statuses.push(lab.send("GET", &url, &token, None).await.unwrap().status);
    }
    assert_eq!(statuses[..15], [200; 15]);
    assert_eq!(statuses[15], 429);
}

#[tokio::test]
async fn what_is_outside_a_subscription_counts_for_the_tenant() {
    let lab = Lab::start(small(1.0)).await;
    let roles = "/providers/Microsoft.Authorization/roleDefinitions";
    let answer = lab.get(roles, "2022-04-01").await.expect(200);
    assert_eq!(answer.header("x-ms-ratelimit-remaining-tenant-reads"), Some("0"));
    assert_eq!(lab.get(roles, "2022-04-01").await.expect(429).code(), "TenantRequestsThrottled");
    // A subscription that is not there has no bucket of its own.
    lab.get("/subscriptions/99999999-0000-0000-0000-000000000000", "2021-04-01").await.expect(429);
    lab.get(&format!("/subscriptions/{SUB}"), "2021-04-01").await.expect(200);
}

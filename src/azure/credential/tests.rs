//! The cache, on a paused clock.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::advance;

use super::*;

/// Gives tokens of an hour, numbered; fails while told so; takes a second for each.
#[derive(Default)]
struct Fake {
    asked: AtomicU32,
    failing: std::sync::atomic::AtomicBool,
}

impl Issuer for Arc<Fake> {
    fn issue(&self) -> BoxFuture<'_, Result<(Secret, Duration), CredentialError>> {
        Box::pin(async move {
            let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_secs(1)).await;
            if self.failing.load(Ordering::SeqCst) {
                return Err(CredentialError { code: Some("AADSTS1".into()), message: "AADSTS1: no".into() });
            }
            Ok((Secret::new(format!("token-{number}")), Duration::from_secs(3600)))
        })
    }
}

fn tokens() -> (Arc<Fake>, Tokens) {
    let fake = Arc::new(Fake::default());
    (Arc::clone(&fake), Tokens::of(Box::new(fake), &HttpPace::default()))
}

async fn value(tokens: &Tokens) -> Result<String, CredentialError> {
    tokens.token().await.map(|token| token.secret().to_owned())
}

/// Lets background work run to its end.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn one_request_serves_all_who_wait() {
    let (fake, tokens) = tokens();
    let all = futures::future::join_all((0..50).map(|_| value(&tokens))).await;
    assert!(all.iter().all(|token| token.as_deref() == Ok("token-1")));
    assert_eq!(fake.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_early_and_nobody_waits_for_it() {
    let (fake, tokens) = tokens();
    value(&tokens).await.unwrap();
    advance(Duration::from_secs(2100)).await;
    value(&tokens).await.unwrap();
    settle().await;
    assert_eq!(fake.asked.load(Ordering::SeqCst), 1, "not before 60 % of its life");
    advance(Duration::from_secs(60)).await;
    let before = Instant::now();
    assert_eq!(value(&tokens).await.unwrap(), "token-1");
    assert_eq!(Instant::now(), before, "the old one is given out at once");
    settle().await;
    assert_eq!(value(&tokens).await.unwrap(), "token-2");
    assert_eq!(fake.asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn the_old_token_serves_while_renewal_fails_until_it_expires() {
    let (fake, tokens) = tokens();
    value(&tokens).await.unwrap();
    fake.failing.store(true, Ordering::SeqCst);
    advance(Duration::from_secs(3500)).await;
    for _ in 0..3 {
        assert_eq!(value(&tokens).await.unwrap(), "token-1");
        settle().await;
    }
    assert_eq!(fake.asked.load(Ordering::SeqCst), 2, "a failure is remembered for 10 s");
    advance(Duration::from_secs(10)).await;
    assert_eq!(value(&tokens).await.unwrap(), "token-1");
    settle().await;
    assert_eq!(fake.asked.load(Ordering::SeqCst), 3);
    advance(Duration::from_secs(80)).await;
    assert_eq!(value(&tokens).await.unwrap_err().code.as_deref(), Some("AADSTS1"));
    fake.failing.store(false, Ordering::SeqCst);
    assert!(value(&tokens).await.is_err(), "still remembered");
    advance(Duration::from_secs(10)).await;
    assert!(value(&tokens).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_forgotten_but_not_its_successor() {
    let (_, tokens) = tokens();
    let first = tokens.token().await.unwrap();
    tokens.discard(&first);
    let second = tokens.token().await.unwrap();
    tokens.discard(&first);
    assert_eq!(tokens.token().await.unwrap().secret(), second.secret());
    assert!(!format!("{second:?}").contains("token-2"));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_never_answers_is_an_error() {
    struct Silent;
    impl Issuer for Silent {
        fn issue(&self) -> BoxFuture<'_, Result<(Secret, Duration), CredentialError>> {
            Box::pin(std::future::pending())
        }
    }
    let tokens = Tokens::of(Box::new(Silent), &HttpPace::default());
    assert_eq!(tokens.token().await.unwrap_err().message, "no token within 30 s");
}

#[tokio::test]
async fn a_missing_token_file_is_an_error_not_a_panic() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let source =
        CredentialSource::WorkloadIdentity { client_id: Some("id".into()), token_file: Some("/nowhere/token".into()) };
    let endpoints = Cloud::Public.endpoints().unwrap();
    let tenant = "11111111-1111-1111-1111-111111111111";
    let (transport, pace) = (Transport::default(), HttpPace::default());
    let tokens = Tokens::new(&Cloud::Public, &endpoints, &endpoints.scope, tenant, source, &transport, &pace).unwrap();
    let error = tokens.token().await.unwrap_err();
    assert!(error.message.contains("/nowhere/token"), "{error}");
}

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use arm_simulator::{Seed, Settings, Simulator};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::lab::{GROUP, Lab, ML, workspace};

fn connector(ca: &[u8]) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

async fn secured(connector: &TlsConnector, address: &str) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    connector.connect(name, TcpStream::connect(address).await.unwrap()).await.unwrap()
}

/// What comes before the connection ends, however it ends.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin + ?Sized)) -> String {
    let mut read = Vec::new();
    let _ = stream.read_to_end(&mut read).await;
    String::from_utf8_lossy(&read).into_owned()
}

fn address(lab: &Lab) -> String {
    lab.sim.endpoint().trim_start_matches("https://").to_owned()
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_as_arm_refuses() {
    let lab = Lab::start(Settings::fast()).await;
    let url = format!("{}{}?api-version={ML}", lab.sim.endpoint(), workspace("large"));
    for megabytes in [4, 10] {
        let put = lab.client.put(&url).bearer_auth(&lab.token).body(vec![b' '; megabytes * 1024 * 1024]);
        let answer = put.send().await.unwrap();
        // White space alone is no content; it is read nevertheless.
        let (status, code) =
            if megabytes == 4 { (400, "InvalidRequestContent") } else { (413, "RequestContentTooLarge") };
        assert_eq!(answer.status(), status);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], code);
    }
    // The same without saying beforehand how long it is.
    let mut stream = secured(&connector(lab.sim.ca_pem().as_bytes()), &address(&lab)).await;
    let head = format!("PUT {} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", workspace("large"));
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 0x10_0000], b"\r\n"].concat();
    for _ in 0..5 {
        stream.write_all(&chunk).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 413");
    lab.get(GROUP, "2021-04-01").await.expect(200);
}

#[tokio::test]
async fn broken_tls_and_broken_http_concern_only_who_sends_them() {
    let lab = Lab::start(Settings::fast()).await;
    let connector = connector(lab.sim.ca_pem().as_bytes());
    for _ in 0..50 {
        let mut plain = TcpStream::connect(address(&lab)).await.unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\nHost: no-tls\r\n\r\n").await.unwrap();
        assert!(!rest(&mut plain).await.contains("HTTP/1.1 200"));
        let mut broken = secured(&connector, &address(&lab)).await;
        broken.write_all(b"\x00\x01 this is no request\r\n\r\n").await.unwrap();
        assert!(rest(&mut broken).await.starts_with("HTTP/1.1 400"));
        // It promises a body and goes away.
        let mut short = secured(&connector, &address(&lab)).await;
        short.write_all(b"PUT /subscriptions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{").await.unwrap();
        drop(short);
    }
    let mut many = secured(&connector, &address(&lab)).await;
    let header = format!("X-Filler: {}\r\n", "x".repeat(1000));
    let head = format!("GET /subscriptions HTTP/1.1\r\nHost: x\r\n{}\r\n", header.repeat(500));
    // The connection may be closed before all is sent.
    let _ = many.write_all(head.as_bytes()).await;
    assert!(rest(&mut many).await.starts_with("HTTP/1.1 431"));
    lab.get(GROUP, "2021-04-01").await.expect(200);
    assert_eq!(lab.sim.requests().len(), 1, "none of it reached ARM");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_go_on_is_let_go() {
    // Time stands still while anything can be done, and jumps to the next timeout when all wait.
    let sim = Simulator::start(Seed::default(), Settings::fast()).await.unwrap();
    let address = sim.endpoint().trim_start_matches("https://").to_owned();
    let connector = connector(sim.ca_pem().as_bytes());
    let mut silent = TcpStream::connect(&address).await.unwrap();
    let mut idle = secured(&connector, &address).await;
    let mut half_head = secured(&connector, &address).await;
    half_head.write_all(b"GET /subscriptions HTTP/1.1\r\nHost:").await.unwrap();
    let mut half_body = secured(&connector, &address).await;
    half_body.write_all(b"PUT /subscriptions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{").await.unwrap();
    let began = Instant::now();
    for (stream, seconds) in [
        (&mut silent as &mut (dyn AsyncRead + Unpin), 10),
        (&mut half_body, 60),
        (&mut half_head, 120),
        (&mut idle, 120),
    ] {
        assert!(!rest(stream).await.contains("HTTP/1.1 200"));
        assert_eq!(began.elapsed().as_secs(), seconds);
    }
    assert_eq!(sim.requests(), []);
}

/// Resident memory of a process in MiB, where the system tells.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// The program on an empty world: itself, its address, and how to reach it by TLS.
async fn program(directory: &Path) -> (Child, String, TlsConnector) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arm-simulator"));
    command.args(["serve", "--world", "empty", "--tls-dir"]).arg(directory);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let line = BufReader::new(child.stdout.take().unwrap()).lines().next_line().await.unwrap().unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    let address = line["arm"].as_str().unwrap().trim_start_matches("https://").to_owned();
    (child, address, connector(&std::fs::read(directory.join("ca.pem")).unwrap()))
}

/// Refuses a program that takes more memory than it may.
fn assert_small(child: &Child) {
    if let Some(megabytes) = resident(child.id().unwrap()) {
        assert!(megabytes < 100, "{megabytes} MiB");
    }
}

#[tokio::test]
async fn large_bodies_leave_no_trace_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let (child, address, connector) = program(directory.path()).await;
    // Those that are read and noted, and those that are refused.
    for (megabytes, start) in [(3, "HTTP/1.1 401"), (10, "HTTP/1.1 413")] {
        let length = megabytes * 1024 * 1024;
        let head = format!("PUT /subscriptions HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        let request = [head.into_bytes(), vec![b' '; length]].concat();
        let mut stream = secured(&connector, &address).await;
        for _ in 0..8 {
            stream.write_all(&request).await.unwrap();
            let mut answer = BufReader::new(&mut stream);
            let (mut line, mut body) = (String::new(), 0);
            answer.read_line(&mut line).await.unwrap();
            assert!(line.starts_with(start), "{line}");
            while line != "\r\n" {
                line.clear();
                answer.read_line(&mut line).await.unwrap();
                body = line.strip_prefix("content-length: ").map_or(body, |length| length.trim().parse().unwrap());
            }
            answer.read_exact(&mut vec![0; body]).await.unwrap();
        }
    }
    assert_small(&child);
}

#[tokio::test]
async fn a_thousand_idle_connections_leave_room_for_one_that_works() {
    let directory = tempfile::tempdir().unwrap();
    let (child, address, connector) = program(directory.path()).await;
    let (mut silent, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..500 {
        silent.push(TcpStream::connect(&address).await.unwrap());
        idle.push(secured(&connector, &address).await);
    }
    let request = "GET /_simulator/clock HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut working = secured(&connector, &address).await;
    working.write_all(request.as_bytes()).await.unwrap();
    assert!(rest(&mut working).await.starts_with("HTTP/1.1 200"));
    assert_small(&child);
    // An idle one can still be used.
    let mut last = idle.pop().unwrap();
    last.write_all(request.as_bytes()).await.unwrap();
    assert!(rest(&mut last).await.starts_with("HTTP/1.1 200"));
}

//! Starts that go wrong on purpose.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::Instance;

#[test]
fn it_may_listen_late() {
    let before = Instant::now();
    let app = Instance::start(&[("START_DELAY_MS", "300")]);
    assert!(before.elapsed() >= Duration::from_millis(300));
    assert_eq!(app.get("/health").status, 200);
}

#[test]
fn it_may_exit_instead() {
    assert_eq!(Instance::spawn(&[("EXIT_AT_START", "7")]).ended().code(), Some(7));
}

#[test]
fn it_may_be_unhealthy_from_the_start() {
    assert_eq!(Instance::start(&[("UNHEALTHY", "1")]).get("/health").status, 503);
}

#[test]
fn it_ends_while_it_waits_to_listen() {
    let mut app = Instance::spawn(&[("START_DELAY_MS", "60000")]);
    app.wait_for_log("listens in 60s");
    app.terminate();
    assert_eq!(app.ended().code(), Some(0));
}

#[test]
fn what_cannot_be_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (variable, value, error) in [
        ("PORT", port.as_str(), "error: cannot listen on 127.0.0.1:"),
        ("PORT", "x", "error: cannot use PORT=\"x\""),
    ] {
        let mut app = Instance::spawn(&[(variable, value)]);
        app.wait_for_log(error);
        assert_eq!(app.ended().code(), Some(1));
    }
}

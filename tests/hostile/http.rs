//! What an app or nginx answers over HTTP.

use std::cell::RefCell;
use std::time::Duration;

use bgctl::host::http;
use bgctl::model::Color;
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: RefCell<Runtime> = Builder::new_current_thread().enable_all().build().unwrap().into();
}

/// Runs a future to its end; one runtime serves all inputs.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.with_borrow(|runtime| runtime.block_on(future))
}

/// Any bytes are an answer or an error, at once; what is kept of an answer is bounded.
pub fn check(data: &[u8]) {
    let (near, mut far) = tokio::io::duplex(64 << 10);
    let serve = async {
        // The client may leave in the middle.
        let _ = far.write_all(data).await;
        let _ = far.shutdown().await;
        // It waits for what it asked to be read.
        tokio::io::copy(&mut far, &mut tokio::io::sink()).await
    };
    let ask =
        async { tokio::time::timeout(Duration::from_secs(60), http::get(near, "shop.test", "/health", [])).await };
    let answer = block_on(async {
        tokio::select! {
            biased;
            answer = ask => answer,
            Err(error) = serve => panic!("{error}"),
        }
    });
    match answer.expect("an answer that ended is read at once") {
        Ok(answer) => {
            assert!(answer.body.len() <= 3 * (64 << 10), "{} bytes", answer.body.len());
            if let Err(error) = Color::parse_or_none(answer.body.trim()) {
                super::assert_readable(&error.to_string());
            }
        }
        Err(error) => super::assert_readable(&format!("{error:#}")),
    }
}

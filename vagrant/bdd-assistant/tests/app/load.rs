//! The load generator and the app: each checks the other.

use clap::Parser;
use load::Options;

use crate::support::Instance;

#[tokio::test]
async fn everything_is_answered_and_nothing_twice() {
    let ledger = std::env::temp_dir().join(format!("bdd-assistant-load-{}", std::process::id()));
    let app = Instance::start(&[
        ("ECHO_LEDGER", ledger.to_str().unwrap()),
        ("RELEASE", "r1"),
        ("BGCTL_COLOR", "blue"),
    ]);
    let url = format!("http://{}", app.address());
    let kinds = [
        "--connections",
        "8",
        "--post-share",
        "0.5",
        "--websockets",
        "2",
        "--downloads",
        "2",
        "--uploads",
        "2",
    ];
    let size = [
        "--transfer-seconds",
        "0.3",
        "--transfer-bytes",
        "100000",
        "--duration",
        "0.5",
    ];
    let fixed = ["load", "--url", &url, "--ledger", ledger.to_str().unwrap()];
    let report = load::run(Options::try_parse_from(fixed.into_iter().chain(kinds).chain(size)).unwrap())
        .await
        .unwrap();
    std::fs::remove_file(&ledger).unwrap();

    assert_eq!((report.failed, report.answered), (0, report.sent), "{report}");
    assert_eq!(
        report.releases.iter().map(|line| line.answers).sum::<u64>(),
        report.sent
    );
    assert!(report.downloads.whole >= 2 && report.uploads.whole >= 2, "{report}");
    assert!(
        report.websockets.opened == 2 && report.websockets.echoes >= 2,
        "{report}"
    );
    let noted = report.ledger.unwrap();
    assert_eq!(
        (noted.noted, noted.lost, noted.doubled),
        (report.posts + report.uploads.whole, 0, 0)
    );
    assert_eq!(report.doubled_at_last, Some(0));
}

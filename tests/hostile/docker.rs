//! What a person names as an image, and what Docker's engine answers about it.

use std::cell::RefCell;
use std::rc::Rc;

use bgctl::model::{ImageRef, Pull, ResolvedImage};
use bgctl::runtime::docker::Docker;
use camino::Utf8PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

/// What the engine says of an image, and to a pull.
type Answers = Rc<RefCell<[Vec<u8>; 2]>>;

struct Engine {
    answers: Answers,
    socket: Utf8PathBuf,
    _folder: tempfile::TempDir,
}

thread_local! {
    static ENGINE: Engine = {
        let folder = tempfile::tempdir().unwrap();
        let socket = Utf8PathBuf::try_from(folder.path().join("docker.sock")).unwrap();
        Engine { answers: Answers::default(), socket, _folder: folder }
    };
}

/// The first line is a reference, the second what the engine says of that image, the rest what it says to a pull.
pub fn check(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let reference = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let reference = match ImageRef::parse(reference) {
        Ok(reference) => reference,
        Err(error) => return super::assert_readable(&error.to_string()),
    };
    assert_plain(&reference);
    let mut rest = || parts.next().unwrap_or_default().to_vec();
    let answers = [rest(), rest()];
    ENGINE.with(|engine| {
        engine.answers.replace(answers);
        let listener = || {
            let _ = std::fs::remove_file(&engine.socket);
            UnixListener::bind(&engine.socket).unwrap()
        };
        let resolve = async {
            let listener = listener();
            let client = async {
                let docker = Docker::connect(&engine.socket).await.unwrap();
                let mut events = 0;
                let pinned = docker.resolve(&reference, Pull::Always, &mut |_| events += 1).await;
                (pinned, events)
            };
            tokio::select! {
                resolved = client => resolved,
                () = serve(listener, Rc::clone(&engine.answers)) => unreachable!("it serves without end"),
            }
        };
        let (pinned, _) = super::http::block_on(resolve);
        match pinned {
            Ok(pinned) => assert_pinned(&reference, &pinned),
            Err(error) => assert!(format!("{error:#}").starts_with("cannot ") || !format!("{error:#}").is_empty()),
        }
    });
}

/// It is one word of a command line, and no option, and its parts make the whole.
fn assert_plain(reference: &ImageRef) {
    let text = reference.as_str();
    assert!(
        !text.starts_with('-') && text.bytes().all(|byte| byte.is_ascii_graphic()),
        "{text}"
    );
    assert!(
        !text.contains(['$', '%', '"', '\'', '\\', '`', ';', '&', '|', '<', '>']),
        "{text}"
    );
    let repository = reference.repository();
    assert!(text.starts_with(repository), "{text}: {repository}");
    if let Some(tag) = reference.tag().filter(|_| text.len() > repository.len()) {
        assert!(
            text[repository.len()..].starts_with(&format!(":{tag}")),
            "{text}: {tag}"
        );
    }
    if let Some(digest) = reference.digest() {
        assert!(text.ends_with(&format!("@{digest}")), "{text}: {digest}");
    }
}

/// What runs is named by a digest, in the repository that was asked for.
fn assert_pinned(reference: &ImageRef, pinned: &ResolvedImage) {
    let digest = match pinned {
        ResolvedImage::Registry { repository, digest } => {
            assert_eq!(repository.as_str(), reference.repository());
            digest
        }
        ResolvedImage::Local { id } => id,
    };
    assert_plain(&ImageRef::parse(pinned.to_string()).unwrap());
    assert_eq!(digest.as_str().len(), "sha256:".len() + 64);
    assert!(pinned.to_string().ends_with(digest.as_str()));
}

/// An engine that has only these answers.
async fn serve(listener: UnixListener, answers: Answers) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        // A client that leaves is its own affair.
        let _ = answer(stream, &answers).await;
    }
}

async fn answer(mut stream: UnixStream, answers: &Answers) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let line = String::from_utf8_lossy(&request)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    let [image, pull] = answers.borrow().clone();
    let (status, body) = match line {
        _ if line.contains("/_ping ") => ("200 OK", b"OK".to_vec()),
        _ if line.contains("/images/create?") => ("200 OK", pull),
        // An image that is not there is one that is to be pulled.
        _ if image.is_empty() => ("404 Not Found", br#"{"message":"no such image"}"#.to_vec()),
        _ => ("200 OK", image),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body).await?;
    stream.shutdown().await
}

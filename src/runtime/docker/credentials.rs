//! Logins of private registries, from Docker's own `config.json` (`docker login`). Nothing of them is ever shown.

use std::collections::HashMap;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use camino::{Utf8Path, Utf8PathBuf};
use docker_credential::{CredentialRetrievalError as Failure, DockerCredential, get_credential_from_reader};
use serde::Deserialize;

use super::explain::PullError;
use crate::host::command::Command;

/// How long a credential helper may take: some ask a server.
const HELPER: Duration = Duration::from_secs(30);

/// How the name of a helper's program starts (docker-credential-helpers).
const PROGRAM: &str = "docker-credential-";

/// What a helper says instead of a name where the secret is an identity token (docker-credential-helpers).
const TOKEN: &str = "<token>";

/// The part of `config.json` that names helpers (docker-login(1), "Credential stores").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Helpers {
    /// The one that has all logins.
    creds_store: Option<String>,
    /// Those that have the login of one registry.
    cred_helpers: Option<HashMap<String, String>>,
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// The login for `registry`; `None` where there is none. May run a credential helper, for at most 30 s. Errors where a login is
/// configured and cannot be read.
pub(super) async fn for_registry(registry: &str) -> Result<Option<DockerCredentials>, PullError> {
    let Some(config) = config().map_err(PullError::Login)? else {
        return Ok(None);
    };
    let login = in_config(&config, registry, Utf8Path::new(""), HELPER).await;
    Ok(login
        .map_err(PullError::Login)?
        .map(|login| credentials(registry, login)))
}

/// The text of `config.json`; `None` where there is none.
fn config() -> Result<Option<String>, String> {
    let of_home = || Some(Utf8PathBuf::from(std::env::var("HOME").ok()?).join(".docker"));
    let folder = std::env::var("DOCKER_CONFIG")
        .ok()
        .map(Utf8PathBuf::from)
        .or_else(of_home);
    match folder.map(|folder| fs_err::read_to_string(folder.join("config.json"))) {
        None => Ok(None),
        Some(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Some(read) => read.map(Some).map_err(|error| error.to_string()),
    }
}

/// The login for `registry` that a `config.json` has or names; the programs of helpers are in `folder`, or are searched in PATH
/// where it is empty. The order is docker's: the registry's own helper, what stands there, the helper for all.
async fn in_config(
    config: &str,
    registry: &str,
    folder: &Utf8Path,
    timeout: Duration,
) -> Result<Option<DockerCredential>, String> {
    // Only where: what serde says of a value may show a secret.
    let damaged = |error: serde_json::Error| format!("it is damaged at line {}", error.line());
    let helpers: Helpers = serde_json::from_str(config).map_err(damaged)?;
    let ask = async |name: &str| ask(&folder.join(format!("{PROGRAM}{name}")), registry, timeout).await;
    let own = helpers.cred_helpers.as_ref().and_then(|helpers| helpers.get(registry));
    if let Some(name) = own.filter(|name| !name.is_empty()) {
        return ask(name).await;
    }
    match written(config, registry).map_err(damaged)? {
        Err(Failure::NoCredentialConfigured) => {}
        written => return written.map(Some).map_err(|error| error.to_string()),
    }
    match helpers.creds_store.filter(|name| !name.is_empty()) {
        Some(name) => ask(&name).await,
        None => Ok(None),
    }
}

/// The login that stands in `config.json`, without any helper.
fn written(config: &str, registry: &str) -> serde_json::Result<Result<DockerCredential, Failure>> {
    let mut config: serde_json::Map<_, _> = serde_json::from_str(config)?;
    config.retain(|key, _| !matches!(key.as_str(), "credsStore" | "credHelpers"));
    let config = serde_json::to_vec(&config)?;
    Ok(get_credential_from_reader(config.as_slice(), registry))
}

/// Asks a helper. What it prints may hold the very secret, so that an error says only which helper it was, and how it ended.
async fn ask(program: &Utf8Path, registry: &str, timeout: Duration) -> Result<Option<DockerCredential>, String> {
    let name = program.file_name().unwrap_or_default();
    let command = Command::new(program.as_str(), ["get"], timeout).input(format!("{registry}\n"));
    match command.run().await {
        Ok(output) => {
            let answer: Answer = serde_json::from_str(&output.stdout)
                .map_err(|_| format!("the credential helper {name} answered something else than a login"))?;
            Ok(Some(match answer.username.as_str() {
                TOKEN => DockerCredential::IdentityToken(answer.secret),
                _ => DockerCredential::UsernamePassword(answer.username, answer.secret),
            }))
        }
        // The protocol's own words for "I have none".
        Err(failed) if failed.output.stdout.contains("credentials not found") => Ok(None),
        Err(failed) => Err(format!("the credential helper {name} failed: {}", failed.how)),
    }
}

fn credentials(registry: &str, login: DockerCredential) -> DockerCredentials {
    let empty = DockerCredentials {
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    };
    match login {
        DockerCredential::UsernamePassword(username, password) => DockerCredentials {
            username: Some(username),
            password: Some(password),
            ..empty
        },
        DockerCredential::IdentityToken(token) => DockerCredentials {
            identitytoken: Some(token),
            ..empty
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    /// A folder with the helper `x`, a script.
    fn helper(script: &str) -> (tempfile::TempDir, Utf8PathBuf) {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Utf8PathBuf::try_from(temporary.path().to_owned()).unwrap();
        let program = folder.join("docker-credential-x");
        // Written by another process: what this one has open for writing it cannot run, nor can a child that was forked meanwhile.
        let write = format!("cat >'{program}' <<'END'\n#!/bin/sh\n{script}\nEND\n");
        let written = std::process::Command::new("sh").args(["-c", &write]).status().unwrap();
        assert!(written.success());
        fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        (temporary, folder)
    }

    async fn login(config: &str, folder: &Utf8Path, timeout: Duration) -> Result<Option<DockerCredential>, String> {
        in_config(config, "ghcr.io", folder, timeout).await
    }

    const ALL: &str = r#"{"credsStore": "x"}"#;

    #[tokio::test]
    async fn login_is_the_one_that_docker_would_use() {
        let (_kept, folder) = helper(
            r#"read -r registry; echo "{\"ServerURL\": \"$registry\", \"Username\": \"of $registry\", \"Secret\": \"word\"}""#,
        );
        let by_helper = DockerCredential::UsernamePassword("of ghcr.io".into(), "word".into());
        let by_file = DockerCredential::UsernamePassword("user".into(), "word".into());
        let file = r#""auths": {"ghcr.io": {"auth": "dXNlcjp3b3Jk"}}"#;
        let none = r#""auths": {"ghcr.io": {}, "quay.io": {"auth": "dXNlcjp3b3Jk"}}"#;
        for (config, expected) in [
            ("{}".to_owned(), None),
            (format!("{{{none}}}"), None),
            (format!("{{{file}}}"), Some(&by_file)),
            (format!("{{{file}, \"credsStore\": \"x\"}}"), Some(&by_file)),
            (format!("{{{none}, \"credsStore\": \"x\"}}"), Some(&by_helper)),
            (
                format!("{{{file}, \"credHelpers\": {{\"ghcr.io\": \"x\"}}}}"),
                Some(&by_helper),
            ),
            (format!("{{{none}, \"credHelpers\": {{\"quay.io\": \"x\"}}}}"), None),
        ] {
            assert_eq!(
                login(&config, &folder, LONG).await.as_ref().map(Option::as_ref),
                Ok(expected),
                "{config}"
            );
        }
        let error = login("{\"auths\": secret", &folder, LONG).await.unwrap_err();
        assert_eq!(error, "it is damaged at line 1");
        let error = login(r#"{"auths": {"ghcr.io": {"auth": "secret!"}}}"#, &folder, LONG)
            .await
            .unwrap_err();
        assert!(!error.contains("secret"), "{error}");
    }

    #[tokio::test]
    async fn helper_may_have_none_or_a_token() {
        let (_kept, folder) = helper("echo credentials not found in native keychain; exit 1");
        assert_eq!(login(ALL, &folder, LONG).await, Ok(None));
        let (_kept, folder) = helper(r#"echo '{"Username": "<token>", "Secret": "word"}'"#);
        let token = DockerCredential::IdentityToken("word".into());
        assert_eq!(login(ALL, &folder, LONG).await, Ok(Some(token)));
    }

    #[tokio::test]
    async fn helper_that_fails_shows_nothing_of_what_it_printed() {
        for (script, told) in [
            ("echo hunter2; echo hunter2 >&2; exit 1", "failed: exit status: 1"),
            ("echo hunter2", "answered something else than a login"),
        ] {
            let (_kept, folder) = helper(script);
            let error = login(ALL, &folder, LONG).await.unwrap_err();
            assert_eq!(error, format!("the credential helper docker-credential-x {told}"));
        }
        let error = login(ALL, Utf8Path::new("/nowhere"), LONG).await.unwrap_err();
        assert!(
            error.starts_with("the credential helper docker-credential-x failed: No such file"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn helper_that_hangs_is_killed() {
        let (_kept, folder) = helper("echo $$ >\"$0.pid\"; exec sleep 60");
        let since = Instant::now();
        let error = login(ALL, &folder, Duration::from_millis(500)).await.unwrap_err();
        assert_eq!(
            error,
            "the credential helper docker-credential-x failed: it was killed after 500ms"
        );
        assert!(since.elapsed() < LONG);
        let process = fs_err::read_to_string(folder.join("docker-credential-x.pid")).unwrap();
        let process = rustix::process::Pid::from_raw(process.trim().parse().unwrap()).unwrap();
        let ended = tokio::time::timeout(LONG, crate::host::process::ended(process)).await;
        assert!(ended.is_ok_and(|ended| ended.is_ok()), "it lives");
    }
}

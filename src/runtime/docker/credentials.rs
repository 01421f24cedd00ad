//! Logins of private registries, from Docker's own `config.json` (`docker login`). Nothing of them is ever shown.

use bollard::auth::DockerCredentials;
use docker_credential::{CredentialRetrievalError as Failure, DockerCredential};

use super::explain::PullError;

/// The login for `registry`; none where there is none. Fails where a login is configured and cannot be read; may run a
/// credential helper.
pub(super) async fn for_registry(registry: &str) -> Result<Option<DockerCredentials>, PullError> {
    let server = registry.to_owned();
    let found = tokio::task::spawn_blocking(move || docker_credential::get_credential(&server)).await;
    let found = found.map_err(|error| PullError::Login(error.to_string()))?;
    login(registry, found)
}

fn login(registry: &str, found: Result<DockerCredential, Failure>) -> Result<Option<DockerCredentials>, PullError> {
    let empty = DockerCredentials {
        serveraddress: Some(registry.to_owned()),
        ..DockerCredentials::default()
    };
    match found {
        Ok(DockerCredential::UsernamePassword(username, password)) => Ok(Some(DockerCredentials {
            username: Some(username),
            password: Some(password),
            ..empty
        })),
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(DockerCredentials {
            identitytoken: Some(token),
            ..empty
        })),
        // A file that is not there is told as one that cannot be read; most hosts have none.
        Err(Failure::NoCredentialConfigured | Failure::ConfigNotFound | Failure::ConfigReadError) => Ok(None),
        // The protocol's own words for "I have none" (docker-credential-helpers).
        Err(Failure::HelperFailure { stdout, .. }) if stdout.contains("credentials not found") => Ok(None),
        // What a helper printed may hold the very secret: its name must do.
        Err(Failure::HelperFailure { helper, .. }) => {
            Err(PullError::Login(format!("the credential helper {helper} failed")))
        }
        Err(other) => Err(PullError::Login(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_helper_shows_nothing_of_what_it_printed() {
        let failure = |stdout: &str| Failure::HelperFailure {
            helper: "pass".into(),
            stdout: stdout.into(),
            stderr: "hunter2".into(),
        };
        let Err(PullError::Login(told)) = login("ghcr.io", Err(failure("hunter2"))) else {
            panic!("a helper that fails is an error");
        };
        assert_eq!(told, "the credential helper pass failed");
        assert!(
            login("ghcr.io", Err(failure("credentials not found in native keychain")))
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn logins() {
        let found = Ok(DockerCredential::UsernamePassword("user".into(), "word".into()));
        let found = login("ghcr.io", found).unwrap().unwrap();
        assert_eq!(found.username.as_deref(), Some("user"));
        assert_eq!(found.serveraddress.as_deref(), Some("ghcr.io"));
        assert!(login("ghcr.io", Err(Failure::ConfigReadError)).unwrap().is_none());
        assert!(login("ghcr.io", Err(Failure::CredentialDecodingError)).is_err());
    }
}

//! What became of a call that failed, by gRPC's status codes and the client's own error types, never by their words.
//!
//! Which codes etcd answers with is in its `api/v3rpc/rpctypes/error.go`.

use std::error::Error as StdError;

use etcd_client::Error;
use tonic::{Code, ConnectError, Status};

/// What is known of a call that failed. Where a code can mean either, it counts as the one that promises less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// No connection was made, so nothing was sent.
    NotSent,
    /// etcd, or a proxy before it, refused it before anything was done.
    Refused,
    /// It was answered, so nothing of it is under way any more, and may have been done all the same: a read tells.
    Answered,
    /// The connection was lost, or the cluster did not come to an end in time: it may have been done, or be done yet.
    Lost,
    /// Anything else: it may have been done.
    Unknown,
}

impl Fate {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::GRpcStatus(status) if is_local(status) => Self::of_local(status),
            Error::GRpcStatus(status) => Self::of_code(status.code()),
            Error::TransportError(error) if is_connecting(error) => Self::NotSent,
            _ => Self::Unknown,
        }
    }

    fn of_local(status: &Status) -> Self {
        if is_connecting(status) {
            Self::NotSent
        } else {
            Self::Lost
        }
    }

    /// What etcd says with a code of its own.
    fn of_code(code: Code) -> Self {
        match code {
            Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::NotFound => Self::Refused,
            // A full database is told before or after the change that filled it was applied (etcd's `quotaApplierV3`). And an
            // answer that is larger than this client takes has come.
            Code::ResourceExhausted | Code::OutOfRange => Self::Answered,
            Code::Unavailable => Self::Lost,
            _ => Self::Unknown,
        }
    }

    /// Whether the call has for certain not been done, and never will be.
    pub(super) fn is_undone(self) -> bool {
        matches!(self, Self::NotSent | Self::Refused)
    }

    /// Whether the same call may go well at once, where another member of the cluster takes it.
    pub(super) fn is_worth_a_retry(self) -> bool {
        matches!(self, Self::NotSent | Self::Lost)
    }
}

/// Whether etcd may take the call after a new login: users or roles changed since the last one (`InvalidArgument`, as much
/// else), or its token expired.
pub(super) fn may_need_login(error: &Error) -> bool {
    matches!(error, Error::GRpcStatus(status)
        if !is_local(status) && matches!(status.code(), Code::InvalidArgument | Code::Unauthenticated))
}

/// Whether this client made the status itself, of what went wrong with its connection; what it was told has no source.
fn is_local(status: &Status) -> bool {
    status.source().is_some()
}

/// Whether it went wrong while a connection was made, TLS included.
fn is_connecting(error: &(dyn StdError + 'static)) -> bool {
    error.is::<ConnectError>() || error.source().is_some_and(is_connecting)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As tonic makes it where the transport fails.
    fn local(source: impl StdError + Send + Sync + 'static) -> Error {
        Error::GRpcStatus(Status::from_error(Box::new(source)))
    }

    fn told(code: Code) -> Error {
        Error::GRpcStatus(Status::new(code, "tcp connect error: permission denied: no leader"))
    }

    #[test]
    fn fate_is_told_by_types_and_codes_alone() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let fates = [
            (local(ConnectError(Box::new(refused))), Fate::NotSent),
            (local(std::io::Error::other("tcp connect error")), Fate::Lost),
            (told(Code::Unavailable), Fate::Lost),
            (told(Code::PermissionDenied), Fate::Refused),
            (told(Code::InvalidArgument), Fate::Refused),
            (told(Code::ResourceExhausted), Fate::Answered),
            (told(Code::Unknown), Fate::Unknown),
            (told(Code::Internal), Fate::Unknown),
            (told(Code::DeadlineExceeded), Fate::Unknown),
            (Error::WatchError("permission denied".to_owned()), Fate::Unknown),
        ];
        for (error, fate) in fates {
            assert_eq!(Fate::of(&error), fate, "{error:?}");
        }
    }

    #[test]
    fn login_is_worth_it_where_etcd_may_not_know_the_token() {
        assert!(may_need_login(&told(Code::InvalidArgument)));
        assert!(may_need_login(&told(Code::Unauthenticated)));
        assert!(!may_need_login(&told(Code::PermissionDenied)));
        assert!(!may_need_login(&local(std::io::Error::other("invalid auth token"))));
    }
}

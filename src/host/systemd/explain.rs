//! systemd's errors, for an operator.

use std::fmt::Display;

use zbus::{DBusError as _, fdo};

use crate::model::{Hinted, UnitName};

/// What `error` means for the attempt to `verb` a `thing`.
pub(super) fn explain(verb: &str, thing: &impl Display, error: &zbus::Error) -> eyre::Report {
    let hint = if is_no_such_unit(error) {
        Some("`bgctl install` writes the units of an app")
    } else if is_rate_limited(error) {
        Some("try again later, or raise ReloadLimitBurst= in systemd-system.conf(5)")
    } else if is_denied(error) {
        Some("run this as root")
    } else {
        None
    };
    let message = format!("cannot {verb} {thing}: {}", said(error));
    match hint {
        Some(hint) => Hinted::new(message, hint).into(),
        None => eyre::Report::msg(message),
    }
}

/// A job that did not do what it was for.
pub(super) fn not_done(verb: &str, unit: &UnitName, what: &str, failure: Option<String>) -> eyre::Report {
    let failure = failure.map(|failure| format!(": {failure}")).unwrap_or_default();
    Hinted::new(
        format!("cannot {verb} {unit}: {what}{failure}"),
        format!("see `journalctl -u {unit}`"),
    )
    .into()
}

/// Whether it means that there is no such unit, or none in memory.
pub(super) fn is_no_such_unit(error: &zbus::Error) -> bool {
    match error {
        zbus::Error::MethodError(name, ..) => name.as_str() == "org.freedesktop.systemd1.NoSuchUnit",
        zbus::Error::FDO(error) => matches!(**error, fdo::Error::FileNotFound(_)),
        _ => false,
    }
}

/// Whether it means that systemd is not on the bus just now, as while it executes itself anew (`systemctl daemon-reexec`, which an
/// upgrade of its package does): what was asked may have been done or not.
pub(super) fn is_away(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::FDO(error)
        if matches!(**error, fdo::Error::NoReply(_) | fdo::Error::NameHasNoOwner(_) | fdo::Error::ServiceUnknown(_)))
}

/// Whether it means that there is a unit of that name in memory already.
pub(super) fn is_loaded(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(name, ..) if name.as_str() == "org.freedesktop.systemd1.UnitExists")
}

/// Whether it means that this was asked for too often in too short a time; to be asked for again later.
pub(super) fn is_rate_limited(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::FDO(error) if matches!(**error, fdo::Error::LimitsExceeded(_)))
}

/// Whether it means that systemd sends its signals to this connection already, as it can after the bus was restarted (seen with
/// 257).
pub(super) fn is_subscribed(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(name, ..) if name.as_str() == "org.freedesktop.systemd1.AlreadySubscribed")
}

fn is_denied(error: &zbus::Error) -> bool {
    match error {
        zbus::Error::FDO(error) => matches!(
            **error,
            fdo::Error::AccessDenied(_) | fdo::Error::AuthFailed(_) | fdo::Error::InteractiveAuthorizationRequired(_)
        ),
        _ => false,
    }
}

/// systemd's own words, without the error's D-Bus name.
fn said(error: &zbus::Error) -> String {
    let detail = match error {
        zbus::Error::MethodError(_, detail, _) => detail.as_deref(),
        zbus::Error::FDO(error) => error.description(),
        _ => None,
    };
    detail.map_or_else(|| error.to_string(), |detail| detail.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reload_that_is_refused_is_told_with_the_setting_that_limits_it() {
        let said = "Reload() request rejected due to rate limit.";
        let error = zbus::Error::FDO(Box::new(fdo::Error::LimitsExceeded(said.into())));
        let report = explain("make systemd read", &"unit files", &error);
        assert_eq!(
            report.to_string(),
            "cannot make systemd read unit files: Reload() request rejected due to rate limit"
        );
        assert!(Hinted::find(&report).unwrap().hint().contains("ReloadLimitBurst="));
    }
}

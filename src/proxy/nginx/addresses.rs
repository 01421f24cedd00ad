//! Who has an address that nginx wants to listen on.

use std::net::SocketAddr;

use crate::host::connections::{self, Listener};
use crate::model::{Port, UnitName};

/// What processes of nginx are called.
const NAME: &str = "nginx";

/// Who has it.
pub(super) enum Holder {
    /// nginx itself, by a socket that it opened for another address of the same port: `0.0.0.0:80` beside `192.0.2.1:80`. It lets
    /// go of that only when it ends.
    Nginx,
    /// Something else; not known who where it cannot be seen.
    Other(Option<Listener>),
}

impl Holder {
    /// What can be done about it.
    pub fn hint(&self, unit: &UnitName) -> String {
        match self {
            Self::Nginx => format!(
                "nginx has another address of this port open, and lets go of it only by a restart of {unit}, which cuts what is open: \
                 the same command with --restart-nginx does that"
            ),
            Self::Other(Some(Listener {
                address,
                process: Some((process, name)),
            })) => {
                format!("{name} (process {process}) listens on {address}: stop it, or set [nginx] listen")
            }
            Self::Other(_) => "something else listens there: stop it, or set [nginx] listen".to_owned(),
        }
    }
}

/// Who has `address`, or another one of its port. Errors if the host's sockets cannot be read.
pub(super) fn holder(address: SocketAddr) -> eyre::Result<Holder> {
    let listeners = connections::listeners(Port::new(address.port())?)?;
    Ok(of(listeners))
}

/// A restart helps only where nobody but nginx listens on the port.
fn of(listeners: Vec<Listener>) -> Holder {
    let is_nginx = |listener: &Listener| listener.process.as_ref().is_some_and(|(_, name)| name == NAME);
    let is_any = !listeners.is_empty();
    match listeners.into_iter().find(|listener| !is_nginx(listener)) {
        None if is_any => Holder::Nginx,
        other => Holder::Other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nginx_is_restarted_only_where_nothing_else_listens() {
        let listener = |name: &str| Listener {
            address: "127.0.0.1:80".parse().unwrap(),
            process: Some((7, name.to_owned())),
        };
        assert!(matches!(of(vec![listener("nginx"), listener("nginx")]), Holder::Nginx));
        assert!(matches!(of(Vec::new()), Holder::Other(None)));
        let Holder::Other(Some(other)) = of(vec![listener("nginx"), listener("apache2")]) else {
            panic!("apache2 has it")
        };
        let hint = Holder::Other(Some(other)).hint(&UnitName::service("nginx.service").unwrap());
        assert!(
            hint.starts_with("apache2 (process 7) listens on 127.0.0.1:80"),
            "{hint}"
        );
    }
}

//! Who this host is to all that share its store.

use camino::Utf8Path;

use crate::files;
use crate::model::{Hinted, HostId};

/// Initialized at boot by systemd, on every host that runs it (machine-id(5)).
const MACHINE_ID: &str = "/etc/machine-id";

/// This host. Errors if it has no machine id: by its name alone it could be taken for another one.
pub fn read() -> eyre::Result<HostId> {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    let machine = files::read(Utf8Path::new(MACHINE_ID))?.unwrap_or_default();
    HostId::new(&name, &machine).map_err(|error| {
        let message = format!("cannot tell this host from others by its machine id in {MACHINE_ID}: {error}");
        Hinted::new(message, "make one: systemd-machine-id-setup").into()
    })
}

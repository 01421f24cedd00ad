//! What is shipped as it is.

use camino::Utf8Path;

use super::seal;
use crate::model::{Invalid, UnitName};

/// The program as the shipped units name it.
const PACKAGED: &str = "/usr/bin/bgctl";

/// The files that every host needs once, whatever apps it has: path below `/` and contents, sealed by
/// [`seal::seal_support`]. They call `bgctl` where that is not `/usr/bin/bgctl`; `nginx` is nginx's unit.
///
/// Fails with [`Invalid`] where the path cannot stand in a unit file.
pub fn support(bgctl: &Utf8Path, nginx: &UnitName) -> Result<[(String, String); 2], Invalid> {
    let bgctl = super::path("the path of bgctl", bgctl)?;
    let file = |text: &str| seal::seal_support(&text.replace(PACKAGED, bgctl));
    Ok([
        (
            "etc/systemd/system/bgctl-switch@.service".to_owned(),
            file(include_str!("../../units/bgctl-switch@.service")),
        ),
        (
            format!("etc/systemd/system/{nginx}.d/bgctl.conf"),
            file(include_str!("../../units/nginx.service.d/bgctl.conf")),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_program_is_called() {
        let unit = UnitName::service("openresty.service").unwrap();
        let [(_, switch), (path, nginx)] = support("/opt/x/bgctl".into(), &unit).unwrap();
        assert_eq!(path, "etc/systemd/system/openresty.service.d/bgctl.conf");
        assert!(switch.contains("ExecStart=/opt/x/bgctl run %i\n"), "{switch}");
        assert!(!switch.contains(PACKAGED));
        assert!(seal::is_intact_support(&switch) && seal::is_intact_support(&nginx));
        assert!(support("/opt/my tools/bgctl".into(), &unit).is_err());
    }

    #[test]
    fn shipped_files_are_no_templates() {
        for text in [
            include_str!("../../units/bgctl-switch@.service"),
            include_str!("../../units/nginx.service"),
            include_str!("../../units/nginx.service.d/bgctl.conf"),
        ] {
            assert!(!text.contains("{{") && !text.contains("{%"), "{text}");
        }
    }
}

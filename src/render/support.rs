//! What is shipped as it is.

use camino::Utf8Path;

use super::seal;
use crate::model::Invalid;

/// The program as the shipped units name it.
const PACKAGED: &str = "/usr/bin/bgctl";

/// The unit that runs switches, which every host needs once, whatever apps it has; sealed by [`seal::seal_support`]. It calls
/// `bgctl` where that is not `/usr/bin/bgctl`.
///
/// Errors with [`Invalid`] where the path cannot stand in a unit file.
pub fn switch_unit(bgctl: &Utf8Path) -> Result<String, Invalid> {
    let bgctl = super::path("the path of bgctl", bgctl)?;
    let text = include_str!("../../units/bgctl-switch@.service");
    Ok(seal::seal_support(&text.replace(PACKAGED, bgctl)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_program_is_called() {
        let switch = switch_unit("/opt/x/bgctl".into()).unwrap();
        assert!(switch.contains("ExecStart=/opt/x/bgctl run %i\n"), "{switch}");
        assert!(!switch.contains(PACKAGED));
        assert!(seal::is_intact_support(&switch));
        assert!(switch_unit("/opt/my tools/bgctl".into()).is_err());
    }

    #[test]
    fn shipped_files_are_no_templates() {
        for text in [
            include_str!("../../units/bgctl-switch@.service"),
            include_str!("../../units/nginx.service"),
        ] {
            assert!(!text.contains("{{") && !text.contains("{%"), "{text}");
        }
    }
}

//! Who a host is to all that share its store.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::Invalid;

/// Of what the ids are that [`HostId`] derives: another program derives others from the same machine.
const PROGRAM: [u8; 16] = 0x660c_6308_cb3d_430a_bb00_a19f_44cd_fa6f_u128.to_be_bytes();
/// How many hexadecimal digits of an id stand behind the host's name: of a thousand hosts of one name, two have the same with
/// a probability of 2 in a billion.
const DIGITS: usize = 12;
/// How many digits of the machine id itself bgctl 0.1.0 put there.
const EARLIER_DIGITS: usize = 8;

/// How a host signs what it writes for others to read, as `HOST/SWITCH` in cursors and leases.
///
/// It is the host's name, which repeats, and the start of an id that is derived from the machine id. The machine id itself
/// is confidential (machine-id(5)). It is better than an id of bgctl's own in a file: whoever makes several hosts of one image
/// gives each another machine id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostId {
    /// `NAME-ID`.
    pub id: String,
    /// What bgctl 0.1.0 wrote; still this host.
    pub earlier: String,
}

impl HostId {
    /// The id of the host called `name` whose `/etc/machine-id` reads `machine`. Errors if that is no machine id: 32
    /// hexadecimal digits (machine-id(5)).
    pub fn new(name: &str, machine: &str) -> Result<Self, Invalid> {
        let digits = machine.trim_end();
        let is_id = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let id = u128::from_str_radix(digits, 16).ok().filter(|_| is_id);
        let id = id.ok_or_else(|| Invalid::new("it is not 32 hexadecimal digits"))?;
        let mut derived = String::new();
        for byte in hmac(&id.to_be_bytes(), &PROGRAM) {
            let _ = write!(derived, "{byte:02x}");
        }
        let start = |digits: &str, length| digits.chars().take(length).collect::<String>();
        Ok(Self {
            id: format!("{name}-{}", start(&derived, DIGITS)),
            earlier: format!("{name}-{}", start(digits, EARLIER_DIGITS)),
        })
    }

    /// Whether this host wrote `by`, which is `HOST/SWITCH`.
    pub fn wrote(&self, by: &str) -> bool {
        let host = by.rsplit_once('/').map_or(by, |(host, _)| host);
        host == self.id || host == self.earlier
    }
}

/// HMAC with SHA-256 (RFC 2104), of a key that is shorter than a block. With a machine id as its key it is what
/// `sd_id128_get_machine_app_specific(3)` derives, but for the bits there that make a UUID of it, which are not in the start.
fn hmac(key: &[u8; 16], message: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "0123456789abcdef0123456789abcdef\n";

    /// As `systemd-id128 machine-id --app-specific=660c6308cb3d430abb00a19f44cdfa6f` says on such a machine.
    #[test]
    fn id_is_derived_as_systemd_derives_it() {
        let host = HostId::new("web1", MACHINE).unwrap();
        assert_eq!(host.id, "web1-a75af8b3325b");
        assert_ne!(HostId::new("web2", MACHINE).unwrap().id, host.id);
        let other = MACHINE.replace('f', "e");
        assert_ne!(HostId::new("web1", &other).unwrap().id, host.id);
    }

    #[test]
    fn host_knows_what_it_wrote_also_with_an_earlier_bgctl() {
        let host = HostId::new("web1", MACHINE).unwrap();
        assert!(host.wrote(&format!("{}/0007", host.id)));
        assert!(host.wrote("web1-01234567/0007"));
        assert!(host.wrote("web1-01234567/repair"));
        for other in [
            "web1/0007",
            "web1-01234568/0007",
            "web2-01234567/0007",
            "web1-0123456/0007",
            "",
        ] {
            assert!(!host.wrote(other), "{other}");
        }
    }

    #[test]
    fn machine_id_is_one_or_is_refused() {
        for wrong in [
            "",
            "uninitialized\n",
            "0123",
            "+123456789abcdef0123456789abcdef",
            &MACHINE.replace('f', "g"),
        ] {
            assert!(HostId::new("web1", wrong).is_err(), "{wrong:?}");
        }
    }
}

//! Ports that the kernel may give to others.

use crate::model::{App, Color, Port};
use crate::ops::visitors::Warning;

const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";
const RESERVED: &str = "/proc/sys/net/ipv4/ip_local_reserved_ports";

/// What may go wrong later with an app's ports on this host.
pub fn warning(app: &App) -> Option<Warning> {
    let read = |path| fs_err::read_to_string(path).unwrap_or_default();
    let ports: Vec<_> = Color::BOTH.iter().flat_map(|color| app.ports_of(*color)).collect();
    given_to_clients(&ports, &read(RANGE), &read(RESERVED))
}

/// Whether the kernel may give one of `ports` to a client (ip(7), `ip_local_port_range`, `ip_local_reserved_ports`): then the app
/// cannot start for as long as that has it.
fn given_to_clients(ports: &[Port], range: &str, reserved: &str) -> Option<Warning> {
    let mut ends = range.split_whitespace().filter_map(|end| end.parse::<u16>().ok());
    let range = ends.next()?..=ends.next()?;
    let reserved = reserved.trim();
    let mut given: Vec<_> = ports.iter().map(|port| port.get()).collect();
    given.retain(|port| range.contains(port) && !is_in(reserved, *port));
    if given.is_empty() {
        return None;
    }
    let given: Vec<_> = given.iter().map(u16::to_string).collect();
    let all = [reserved, &given.join(",")]
        .map(str::to_owned)
        .into_iter()
        .filter(|list| !list.is_empty());
    let all = all.collect::<Vec<_>>().join(",");
    Some(Warning {
        warning: format!(
            "the kernel may give port {} to any client, and the app cannot start then",
            given.join(" and ")
        ),
        advice: format!(
            "keep it from that by `sysctl -w net.ipv4.ip_local_reserved_ports={all}`, and by that line in /etc/sysctl.d for the \
             next boot, or take ports outside of {} to {}",
            range.start(),
            range.end()
        ),
    })
}

/// Whether a list as in `80,9001-9004` has a port.
fn is_in(list: &str, port: u16) -> bool {
    let parse = |end: &str| end.trim().parse::<u16>().ok();
    list.split(',').any(|part| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        parse(from)
            .zip(parse(to))
            .is_some_and(|(from, to)| (from..=to).contains(&port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_that_clients_may_get_are_told_with_the_way_out() {
        let told = |ports: &[u16], reserved| {
            let ports: Vec<_> = ports.iter().map(|port| Port::new(*port).unwrap()).collect();
            given_to_clients(&ports, "32768\t60999\n", reserved)
        };
        assert_eq!(told(&[9001, 9002, 32767, 61000], ""), None);
        assert_eq!(told(&[40001, 40002], "40000-40005\n"), None);
        let told = told(&[9001, 40001, 40007], "1,40000-40005\n").unwrap();
        let reserved = "ip_local_reserved_ports=1,40000-40005,40007`";
        assert!(told.advice.contains(reserved), "{told:?}");
        assert!(told.warning.contains("port 40007 to any client"), "{told:?}");
        assert_eq!(given_to_clients(&[Port::new(40001).unwrap()], "", ""), None);
    }
}

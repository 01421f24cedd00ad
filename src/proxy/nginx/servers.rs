//! Which server block of nginx answers whom: by the address that a visitor connected to, then by the name that is asked for
//! (<https://nginx.org/en/docs/http/request_processing.html>).

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use camino::Utf8Path;

use super::dump::{self, Directive};
use crate::model::{ServerName, Site};

/// Visitors of a site that another one answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The host name that they ask for.
    pub name: String,
    /// The address that they connect to; unspecified: all addresses of its family that have no server block of their own.
    pub address: SocketAddr,
    /// The file of the server block that answers them.
    pub by: String,
    /// Whether the site listens there as well, and only the names decide.
    pub by_name: bool,
}

/// A server block.
struct Server<'d> {
    file: &'d str,
    names: Vec<&'d str>,
}

/// A server block of an address, and whether it is the one for names that none has.
type Choice<'s> = (&'s Server<'s>, bool);

/// Visitors of `site`, whose server block is in `file`, that other server blocks of the configuration `dump` answer (`nginx -T`).
/// None where the configuration cannot be read, or has no such file.
pub(super) fn taken(dump: &str, file: &Utf8Path, site: &Site) -> Vec<Taken> {
    let tree = dump::read(dump).unwrap_or_default();
    let blocks: Vec<_> = tree
        .iter()
        .filter(|directive| directive.name() == "http")
        .flat_map(|http| http.all("server"))
        .collect();
    let servers: Vec<_> = blocks.iter().map(|block| server(block)).collect();
    let mut addresses: BTreeMap<SocketAddr, Vec<Choice<'_>>> = BTreeMap::new();
    for (server, block) in servers.iter().zip(&blocks) {
        for (address, is_default) in listens(block) {
            addresses.entry(address).or_default().push((server, is_default));
        }
    }
    let is_ours = |choices: &[Choice<'_>]| choices.iter().any(|(server, _)| server.file == file);
    let own: Vec<_> = addresses
        .iter()
        .filter(|(address, choices)| {
            is_ours(choices)
                && site
                    .listen
                    .iter()
                    .any(|listening| listening.address.port() == address.port())
        })
        .map(|(address, _)| *address)
        .collect();
    let name = visitors_name(site);
    let concerned = addresses.iter().filter(|(address, _)| {
        let is_of = |own: &SocketAddr| own.port() == address.port() && (own == *address || own.ip().is_unspecified());
        own.iter().any(is_of)
    });
    let answered = concerned.filter_map(|(address, choices)| {
        let by = chosen(choices, &name).filter(|server| server.file != file)?;
        Some(Taken {
            name: name.clone(),
            address: *address,
            by: by.file.to_owned(),
            by_name: own.contains(address),
        })
    });
    answered.collect()
}

fn server(block: &Directive) -> Server<'_> {
    let names = block.all("server_name").flat_map(Directive::arguments);
    Server {
        file: &block.file,
        names: names.map(String::as_str).collect(),
    }
}

/// The addresses of a server block, and whether it is the default one there.
fn listens(block: &Directive) -> Vec<(SocketAddr, bool)> {
    let of = |directive: &Directive| {
        let (address, options) = directive.arguments().split_first()?;
        let is_default = options
            .iter()
            .any(|option| option == "default_server" || option == "default");
        Some((socket_address(address)?, is_default))
    };
    if block.all("listen").next().is_none() {
        return vec![(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80)), false)];
    }
    block.all("listen").filter_map(of).collect()
}

/// Returns `None` for sockets of files and for names of hosts, which only a resolver knows.
fn socket_address(text: &str) -> Option<SocketAddr> {
    if let Ok(port) = text.parse() {
        return Some((Ipv4Addr::UNSPECIFIED, port).into());
    }
    let (ip, port) = match text.rsplit_once(':').filter(|_| !text.ends_with(']')) {
        Some((ip, port)) => (ip, port.parse().ok()?),
        None => (text, 80),
    };
    let ip: IpAddr = match ip.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(v6) => v6.parse::<Ipv6Addr>().ok()?.into(),
        None if ip == "*" => Ipv4Addr::UNSPECIFIED.into(),
        None if ip == "localhost" => Ipv4Addr::LOCALHOST.into(),
        None => ip.parse::<Ipv4Addr>().ok()?.into(),
    };
    Some((ip, port).into())
}

/// A name that visitors of the site may ask for: its first, with something in the place of a `*`; `localhost` where it has none.
fn visitors_name(site: &Site) -> String {
    match site.server_names.first().map(ServerName::as_str) {
        None | Some("_") => "localhost".to_owned(),
        Some(name) => name.trim_start_matches('.').replace('*', "bgctl"),
    }
}

/// The server block that answers for a name; regular expressions are taken for names that nobody asks for.
fn chosen<'s>(choices: &[Choice<'s>], name: &str) -> Option<&'s Server<'s>> {
    let longest = |is_of: &dyn Fn(&str) -> bool| {
        let of = |server: &Server<'_>| {
            server
                .names
                .iter()
                .filter(|name| is_of(name))
                .map(|name| name.len())
                .max()
        };
        let found = choices.iter().filter_map(|(server, _)| Some((of(server)?, *server)));
        // The first of equals, as nginx ignores the later ones.
        found
            .reduce(|best, other| if other.0 > best.0 { other } else { best })
            .map(|(_, server)| server)
    };
    let leading = |pattern: &str| {
        let suffix = pattern
            .strip_prefix('*')
            .or_else(|| pattern.starts_with('.').then_some(pattern));
        suffix
            .is_some_and(|suffix| name.ends_with(suffix) || pattern.starts_with('.') && pattern.get(1..) == Some(name))
    };
    let trailing = |pattern: &str| pattern.strip_suffix('*').is_some_and(|prefix| name.starts_with(prefix));
    let by_default = || {
        choices
            .iter()
            .find(|(_, is_default)| *is_default)
            .or(choices.first())
            .map(|(server, _)| *server)
    };
    longest(&|pattern| pattern.eq_ignore_ascii_case(name))
        .or_else(|| longest(&leading))
        .or_else(|| longest(&trailing))
        .or_else(by_default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Listen, Listening, ServerName};

    fn site(name: &str, listen: &[&str]) -> Site {
        let listening = listen
            .iter()
            .map(|listen| Listening::plain(Listen::parse(*listen).unwrap()));
        Site {
            server_names: vec![ServerName::parse(name).unwrap()],
            listen: listening.collect(),
            ..crate::proxy::nginx::said::tests::site()
        }
    }

    /// `ADDRESS FILE` of visitors that others answer, where others have these server blocks.
    fn others(site: &Site, others: &str) -> Vec<String> {
        let listens: Vec<_> = site
            .listen
            .iter()
            .map(|listen| format!("listen {};", listen.address))
            .collect();
        let name = &site.server_names[0];
        let dump = format!(
            "# configuration file /n.conf:\nhttp {{ include a; include shop; include z; }}\n\
             # configuration file /a:\n{others}\n\
             # configuration file /shop:\nserver {{ {} server_name \"{name}\"; }}\n\
             server {{ listen 127.0.0.1:7390; server_name shop.bgctl; }}\n\
             # configuration file /z:\nserver {{ listen 127.0.0.1:7390 default_server; }}\n",
            listens.concat()
        );
        let taken = taken(&dump, "/shop".into(), site);
        taken
            .iter()
            .map(|taken| format!("{} {}", taken.address, taken.by))
            .collect()
    }

    #[test]
    fn more_exact_addresses_and_the_other_family_have_visitors_of_their_own() {
        let shop = site("shop.test", &["80"]);
        for (address, taken) in [
            ("127.0.0.1:80", "127.0.0.1:80 /a"),
            ("203.0.113.5", "203.0.113.5:80 /a"),
            ("[::]:80 ipv6only=on", "[::]:80 /a"),
            ("localhost:80", "127.0.0.1:80 /a"),
        ] {
            assert_eq!(others(&shop, &format!("server {{ listen {address}; }}")), [taken]);
        }
        for address in ["80 default_server", "0.0.0.0:80", "127.0.0.1:81", "unix:/run/x"] {
            let none: [&str; 0] = [];
            assert_eq!(
                others(&shop, &format!("server {{ listen {address}; }}")),
                none,
                "{address}"
            );
        }
        let both = site("shop.test", &["80", "127.0.0.1:80"]);
        assert!(others(&both, "server { listen 127.0.0.1:80; }").is_empty());
        let exact = site("shop.test", &["127.0.0.2:80"]);
        assert!(others(&exact, "server { listen [::]:80; listen 80; listen 127.0.0.1:80; }").is_empty());
    }

    #[test]
    fn names_decide_on_one_address() {
        let any = site("_", &["80"]);
        assert_eq!(others(&any, "server { }"), ["0.0.0.0:80 /a"]);
        let wild = site("*.shop.test", &["80"]);
        for (name, is_taken) in [
            ("*.shop.test", true),
            ("*.test", false),
            ("bgctl.*", false),
            ("bgctl.shop.test", true),
            ("~^.*$", false),
            (".shop.test", false),
        ] {
            let taken = others(&wild, &format!("server {{ server_name {name}; }}"));
            assert_eq!(!taken.is_empty(), is_taken, "{name}: {taken:?}");
        }
    }
}

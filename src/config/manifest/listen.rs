//! `[nginx] listen`: addresses, and what each of them speaks.

use toml::Spanned;

use super::site::{Placed, distinct};
use super::written::{ListenEntry, ListenTable};
use crate::config::error::Problem;
use crate::model::{ByColor, Color, Gives, Listen, Listening, Port};

const LISTEN: &str = "80";

/// What else the manifest says of them.
pub(super) struct With {
    pub(super) ports: ByColor<Port>,
    pub(super) has_certificate: bool,
    /// Whether it trusts any proxy.
    pub(super) trusts: bool,
}

pub(super) fn validate(
    written: Option<Spanned<Vec<Spanned<ListenEntry>>>>,
    with: &With,
) -> Result<Vec<Listening>, Problem> {
    let entries = match written {
        None => {
            let default = Listen::parse(LISTEN).map_err(|error| Problem::somewhere(error.to_string()))?;
            vec![(ListenEntry::Address(default), None)]
        }
        Some(written) if written.get_ref().is_empty() => {
            let message = "cannot use an empty list as listen: leave it out for its default";
            return Err(Problem::at(written.span(), message));
        }
        Some(written) => distinct(written.into_inner(), "listen", ListenEntry::address)?,
    };
    let placed = entries.into_iter().map(|(entry, place)| {
        let listening = listening(entry, with).map_err(|message| Problem {
            span: place.clone(),
            message,
        });
        Ok((listening?, place))
    });
    let placed: Vec<Placed<Listening>> = placed.collect::<Result<_, Problem>>()?;
    together(&placed, with)?;
    Ok(placed.into_iter().map(|(listening, _)| listening).collect())
}

/// One address; errors with what is wrong with it.
fn listening(entry: ListenEntry, with: &With) -> Result<Listening, String> {
    let table = match entry {
        ListenEntry::Address(address) => ListenTable::plain(address),
        ListenEntry::Table(table) => table,
    };
    let port = table.address.port();
    let refuse = |why: &str| Err(format!("cannot listen on {}{why}", table.address));
    if let Some(color) = Color::BOTH
        .into_iter()
        .find(|color| with.ports.get(*color).get() == port)
    {
        return refuse(&format!(": {port} is the port of {color}"));
    }
    if table.tls == Some(true) && !with.has_certificate {
        return refuse(" with tls: there is no certificate");
    }
    if table.tls == Some(true) && table.redirect_to_https {
        return refuse(" with both tls and redirect_to_https: what has TLS is where others are sent to");
    }
    if table.proxy_protocol && !with.trusts {
        return refuse(" with proxy_protocol without trusted_proxies: they say whose word is taken");
    }
    let gives = match (table.redirect_to_https, table.tls.unwrap_or(with.has_certificate)) {
        (true, _) => Gives::Redirect,
        (false, true) => Gives::Https,
        (false, false) => Gives::Http,
    };
    Ok(Listening {
        address: table.address,
        gives,
        http2: table.http2,
        proxy_protocol: table.proxy_protocol,
    })
}

/// What holds for all addresses of a site.
fn together(placed: &[Placed<Listening>], with: &With) -> Result<(), Problem> {
    let first = |is: &dyn Fn(&Listening) -> bool| placed.iter().find(|(listening, _)| is(listening));
    let refuse = |(listening, place): &Placed<Listening>, why: &str| {
        Err(Problem {
            span: place.clone(),
            message: format!("cannot listen on {}{why}", listening.address),
        })
    };
    let has_tls = first(&|listening| listening.has_tls()).is_some();
    if let Some(redirect) = first(&|listening| listening.redirects()).filter(|_| !has_tls) {
        return refuse(redirect, " with redirect_to_https: no address has TLS");
    }
    if let Some(any) = placed.first().filter(|_| with.has_certificate && !has_tls) {
        return refuse(
            any,
            " without TLS: there is a certificate, and no other address has TLS",
        );
    }
    // nginx takes the address of the client from one place for a whole server block.
    let speaks = |listening: &Listening| listening.proxy_protocol || listening.redirects();
    if let (Some(_), Some(other)) = (
        first(&|listening| listening.proxy_protocol && !listening.redirects()),
        first(&|listening| !speaks(listening)),
    ) {
        return refuse(other, " without proxy_protocol: other addresses have it");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::config::manifest::parse;

    const HEAD: &str = "name = \"shop\"\n[run]\nexec = \"/opt/shop\"\n[nginx]\n";
    const TLS: &str = "certificate = \"/x.pem\"\ncertificate_key = \"/x.key\"\n";

    #[test]
    fn addresses_say_what_they_speak() {
        let spoken = |listen: &str| {
            let text = format!("{HEAD}{TLS}trusted_proxies = [\"10.0.0.1\"]\nlisten = {listen}\n");
            let site = parse(&text, "shop.toml").unwrap().site;
            let spoken = site
                .listen
                .iter()
                .map(|each| (each.has_tls(), each.http2, each.proxy_protocol, each.redirects()));
            (spoken.collect::<Vec<_>>(), site.to_string())
        };
        let plain = (false, false, false, false);
        let tls = (true, false, false, false);
        assert_eq!(spoken("[\"443\"]"), (vec![tls], "https://_:443/".to_owned()));
        assert_eq!(
            spoken("[{ address = \"80\", tls = false }, \"443\"]"),
            (vec![plain, tls], "http://_:80/".to_owned())
        );
        let redirects = "[{ address = \"80\", redirect_to_https = true }, { address = \"8443\", http2 = true, proxy_protocol = true }]";
        let expected = vec![(false, false, false, true), (true, true, true, false)];
        assert_eq!(spoken(redirects), (expected, "https://_:8443/".to_owned()));
    }

    #[test]
    fn addresses_that_do_not_fit_are_refused() {
        let cases = [
            (
                "listen = [{ address = \"80\", tls = true }]",
                "80 with tls: there is no certificate",
            ),
            (
                "listen = [{ address = \"80\", redirect_to_https = true }]",
                "80 with redirect_to_https: no address has TLS",
            ),
            (
                "listen = [{ address = \"80\", proxy_protocol = true }]",
                "80 with proxy_protocol without trusted_proxies",
            ),
            (
                "listen = [\"80\", { address = \"80\" }]",
                "cannot use 80 twice in listen",
            ),
            ("listen = [{ tls = true }]", "missing field `address`"),
            (
                "listen = [{ address = \"80\", http3 = true }]",
                "did you mean \"http2\"?",
            ),
        ];
        let cases = cases.map(|(listen, reason)| (format!("{listen}\n"), reason));
        let with_tls = [
            (
                "listen = [{ address = \"80\", tls = false }]",
                "80 without TLS: there is a certificate",
            ),
            (
                "listen = [{ address = \"80\", tls = true, redirect_to_https = true }]",
                "80 with both tls and redirect_to_https",
            ),
            (
                "trusted_proxies = [\"10.0.0.1\"]\nlisten = [\"443\", { address = \"444\", proxy_protocol = true }]",
                "443 without proxy_protocol: other addresses have it",
            ),
        ];
        let with_tls = with_tls.map(|(listen, reason)| (format!("{TLS}{listen}\n"), reason));
        for (text, reason) in cases.iter().chain(&with_tls) {
            let error = parse(&format!("{HEAD}{text}"), "shop.toml").unwrap_err();
            assert!(error.message().contains(reason), "{text}: {error}");
        }
    }
}

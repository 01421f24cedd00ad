//! `[ports]`.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::written;
use crate::config::error::Problem;
use crate::config::value::PortNumber;
use crate::model::{ByColor, Color, Port, PortName};

const BLUE_PORT: u16 = 9001;
const GREEN_PORT: u16 = 9002;

/// The ports by which nginx reaches the colors.
pub(super) fn own(written: &written::Ports) -> Result<ByColor<Port>, Problem> {
    let port = |written: &Option<Spanned<PortNumber>>, default| match written {
        Some(port) => Ok(port.get_ref().0),
        None => Port::new(default).map_err(|error| Problem::somewhere(error.to_string())),
    };
    let ports = ByColor {
        blue: port(&written.blue, BLUE_PORT)?,
        green: port(&written.green, GREEN_PORT)?,
    };
    let places = ByColor {
        blue: written.blue.as_ref().map(Spanned::span),
        green: written.green.as_ref().map(Spanned::span),
    };
    if ports.blue == ports.green {
        return Err(Problem {
            span: places.green.or(places.blue),
            message: format!(
                "cannot use port {} for both colors: blue and green run side by side",
                ports.blue
            ),
        });
    }
    for color in Color::BOTH {
        allow(*ports.get(color), &color, places.get(color).clone(), written)?;
    }
    Ok(ports)
}

/// The other ports; each is one color's alone.
pub(super) fn extra(
    written: &written::Ports,
    own: ByColor<Port>,
) -> Result<BTreeMap<PortName, ByColor<Port>>, Problem> {
    let mut taken = vec![own.blue, own.green];
    let mut all = BTreeMap::new();
    for (name, ports) in &written.extra {
        for port in [&ports.blue, &ports.green] {
            let (number, place) = (port.get_ref().0, port.span());
            if taken.contains(&number) {
                let message = format!("cannot use port {number} for {name}: [ports] has it already");
                return Err(Problem::at(place, message));
            }
            allow(number, name, Some(place), written)?;
            taken.push(number);
        }
        let ports = ByColor {
            blue: ports.blue.get_ref().0,
            green: ports.green.get_ref().0,
        };
        all.insert(name.clone(), ports);
    }
    Ok(all)
}

fn allow(
    port: Port,
    what: &dyn std::fmt::Display,
    span: Option<Range<usize>>,
    written: &written::Ports,
) -> Result<(), Problem> {
    if !port.is_privileged() || written.allow_privileged {
        return Ok(());
    }
    let message =
        format!("cannot use port {port} for {what}: ports below 1024 need allow_privileged = true in [ports]");
    Err(Problem { span, message })
}

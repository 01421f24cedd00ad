//! What is handed to `docker run`.

use super::value;
use crate::model::{Invalid, has_placeholder};

value!(
    /// A value of `docker run --volume`.
    Volume(String), String, parse_volume
);
value!(
    /// An option of `docker run`.
    DockerOption(String), String, parse_docker_option
);

fn parse_volume(text: String) -> Result<String, Invalid> {
    let refuse = |reason: &str| Err(Invalid::value("a volume", &text, reason));
    let mut parts = text.split(':');
    let (Some(source), Some(target)) = (parts.next(), parts.next()) else {
        return refuse("it must be SOURCE:TARGET, as in \"/srv/data:/data:ro\"");
    };
    if text.chars().any(char::is_control) {
        return refuse("it must be one line");
    }
    if !source.starts_with(|c: char| c == '/' || c.is_ascii_alphanumeric()) {
        return refuse("its source must be a path from / on or the name of a volume");
    }
    if !target.starts_with('/') {
        return refuse("its target must be a path from / on");
    }
    Ok(text)
}

/// Options with which an instance could not be run: bgctl sets them itself, or systemd could not supervise it.
const DOCKER_OPTIONS_REFUSED: [&str; 3] = ["--name", "--detach", "--restart"];

fn parse_docker_option(text: String) -> Result<String, Invalid> {
    let refuse = |reason: &str| Err(Invalid::value("an option of docker run", &text, reason));
    if !text.starts_with('-') || text.trim_matches('-').is_empty() {
        return refuse("write an option and its value as one, as in \"--ulimit=nofile=65536\"");
    }
    if text.chars().any(char::is_control) {
        return refuse("it must be one line");
    }
    let (name, value) = text.split_once('=').unwrap_or((&text, ""));
    let flags = name.strip_prefix('-').unwrap_or_default();
    let detaches = flags.contains('d') && flags.bytes().all(|b| b"ditqP".contains(&b));
    if detaches || DOCKER_OPTIONS_REFUSED.contains(&name) {
        return refuse("the unit runs the container itself, with its own name, in the foreground");
    }
    match only_once(name, value) {
        Some(reason) => refuse(reason),
        None => Ok(text),
    }
}

/// Why two containers that run side by side cannot both have the option; `None` where they can.
fn only_once(name: &str, value: &str) -> Option<&'static str> {
    let published = match name {
        "--publish" | "-p" => Some(value),
        _ => name
            .strip_prefix("-p")
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '[')),
    };
    match name {
        _ if published.is_some_and(is_fixed) => Some(
            "both colors would publish the same port, and the second one never start: give each its own in [ports.extra], as in \
             metrics = { blue = 9101, green = 9102 }, and write --publish=127.0.0.1:{port.metrics}:9090",
        ),
        "--ip" | "--ip6" | "--cidfile" if !has_placeholder(value) => {
            Some("both colors would have the same, and the second one never start: leave it out")
        }
        "--network" | "--net" if value == "none" || value.starts_with("container:") => {
            Some("no port can be published then, and nginx would not reach the app")
        }
        _ => None,
    }
}

/// Whether a value of `--publish`, `[[ADDRESS:]PORT:]PORT[/PROTOCOL]`, names a port of the host (docker-run(1)).
fn is_fixed(value: &str) -> bool {
    let mut parts = value.rsplit(':').skip(1);
    let port = parts.next().unwrap_or_default();
    !port.is_empty() && !has_placeholder(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_and_options_of_docker() {
        for good in ["/srv/data:/data", "/srv/data:/data:ro", "data:/data"] {
            assert!(parse_volume(good.to_owned()).is_ok(), "{good}");
        }
        for bad in ["", "/data", "-v:/x", "data:x", ":/x", "a:/x\n", "./a:/x"] {
            assert!(parse_volume(bad.to_owned()).is_err(), "{bad}");
        }
        for good in [
            "--ulimit=nofile=65536",
            "--init",
            "-t",
            "--dns=1.1.1.1",
            "-u=1000",
            "--publish=9090",
            "--publish=127.0.0.1::9090/udp",
            "--publish=127.0.0.1:{port.metrics}:9090",
            "-p={port.metrics}:9090",
            "--publish-all",
            "--pid=host",
            "--network=host",
        ] {
            assert!(parse_docker_option(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-",
            "--",
            "image",
            "--init\n",
            "--name=x",
            "--detach",
            "-d",
            "-itd",
            "--restart=always",
            "--publish=9090:9090",
            "--publish=127.0.0.1:9090:9090/udp",
            "--publish=[::1]:9090:9090",
            "-p=9090:9090",
            "-p9090:9090",
            "--ip=172.18.0.9",
            "--cidfile=/run/shop.cid",
            "--network=none",
            "--net=container:other",
        ] {
            assert!(parse_docker_option(bad.to_owned()).is_err(), "{bad}");
        }
    }
}

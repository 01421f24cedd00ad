//! Whether an app is as it should be when all is over.

use serde_json::Value;

use crate::app::App;
use crate::host::wait;

/// What of bgctl's nobody should ever see: a temporary file.
const LEFT_OVER: &str = "find /var/lib/bgctl/APP /etc/bgctl /etc/systemd/system /etc/nginx -name '.*.[0-9]*-[0-9]*'";

/// One look at an app.
#[derive(Debug)]
struct Look {
    status: Value,
    containers: String,
    left_over: String,
}

impl Look {
    /// Fails where bgctl or Docker cannot tell yet.
    fn at(app: &App<'_>) -> Result<Self, String> {
        let name = app.name();
        let all = app.host().run(&format!(
            "set -e; bgctl status {name} --json; echo ---; docker ps -a --format '{{{{.Names}}}}' --filter name='^/{name}-'; \
             echo ---; {}",
            LEFT_OVER.replace("APP", name)
        ));
        let parts: Vec<_> = all.stdout.split("---\n").map(str::trim).collect();
        let (0, [status, containers, left_over]) = (all.status, parts.as_slice()) else {
            return Err(format!("{all:?}"));
        };
        Ok(Self {
            status: serde_json::from_str(status).map_err(|error| format!("{error}: {all:?}"))?,
            containers: (*containers).to_owned(),
            left_over: (*left_over).to_owned(),
        })
    }

    /// What serves, where everything agrees.
    fn serving(&self, app: &App<'_>) -> Result<(String, String), String> {
        let status = &self.status;
        let demand = |holds: bool, what: &str| {
            if holds {
                Ok(())
            } else {
                Err(format!("{what}: {self:#?}"))
            }
        };
        demand(status["open_switch"].is_null(), "a switch is open")?;
        demand(status["problems"] == Value::Array(Vec::new()), "something differs")?;
        demand(status["agrees"] == true, "cursor and traffic differ")?;
        let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
        let (color, release) = (text(&status["serving"]), text(&status["cursor"]["release"]));
        for each in status["colors"].as_array().into_iter().flatten() {
            let is_active = each["color"] == color.as_str();
            let should = if is_active {
                ("active", true)
            } else {
                ("inactive", false)
            };
            let is = (each["state"].as_str().unwrap_or_default(), each["enabled"] == true);
            demand(is == should, "a color is not as it should be")?;
            demand(
                !is_active || each["release"] == release.as_str(),
                "another release serves",
            )?;
            demand(!is_active || each["healthy"] == true, "what serves is not healthy")?;
        }
        let container = if app.is_container() {
            format!("{}-{}", app.name(), app.port(&color))
        } else {
            String::new()
        };
        demand(self.containers == container, "stray containers")?;
        demand(self.left_over.is_empty(), "left over")?;
        Ok((release, color))
    }
}

/// Waits until no switch is open; the release and the color that serve then. Fails where not exactly one color runs, cursor, route,
/// units and releases do not agree, or anything is left that nobody needs.
#[track_caller]
pub fn settled(app: &App<'_>) -> (String, String) {
    let serving = wait(|| Look::at(app)?.serving(app)).unwrap_or_else(|why| panic!("{}: {why}", app.name()));
    let answer = app.get("/");
    assert_eq!(
        (answer.status, answer.header("x-release"), answer.header("x-color")),
        (200, serving.0.as_str(), serving.1.as_str()),
        "{answer:?}"
    );
    serving
}

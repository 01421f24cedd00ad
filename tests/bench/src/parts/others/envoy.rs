//! Envoy: both clusters are there, and a file with the routes says which one.

use fs_err as fs;

use super::Proxy;
use super::peer::{Running, Side, replace};
use crate::app::SHARED;

const PORT: u16 = 8294;
const HTTP: &str = "type.googleapis.com/envoy.extensions.filters";

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    routes: String,
    _running: Running,
}

impl Envoy {
    /// Starts it with requests going to `active`.
    pub fn start(program: &str, active: Side) -> eyre::Result<Self> {
        let folder = format!("{SHARED}/envoy");
        fs::create_dir_all(&folder)?;
        let (routes, bootstrap) = (format!("{folder}/routes.yaml"), format!("{folder}/bootstrap.yaml"));
        fs::write(&routes, routing(active))?;
        fs::write(&bootstrap, configuration(&routes))?;
        let running = Running::start(
            program,
            &[
                "--config-path",
                &bootstrap,
                "--disable-hot-restart",
                "--concurrency",
                "2",
                "--log-level",
                "error",
            ],
        )?;
        Ok(Self {
            routes,
            _running: running,
        })
    }
}

impl Proxy for Envoy {
    fn port(&self) -> u16 {
        PORT
    }

    fn move_to(&self, side: Side) -> eyre::Result<()> {
        replace(&self.routes, &routing(side))
    }

    /// As with the others, the app answers what it has when it is stopped.
    fn drain(&self, _side: Side) -> eyre::Result<()> {
        Ok(())
    }
}

fn routing(side: Side) -> String {
    format!(
        "resources:
- '@type': type.googleapis.com/envoy.config.route.v3.RouteConfiguration
  name: routes
  virtual_hosts:
  - name: app
    domains: ['*']
    routes:
    - match: {{ prefix: / }}
      route: {{ cluster: {} }}
",
        side.color()
    )
}

fn configuration(routes: &str) -> String {
    let clusters: String = [Side::Blue, Side::Green].into_iter().map(cluster).collect();
    format!(
        "node: {{ id: bench, cluster: bench }}
static_resources:
  listeners:
  - name: front
    address: {{ socket_address: {{ address: 127.0.0.1, port_value: {PORT} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': {HTTP}.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          rds:
            route_config_name: routes
            config_source: {{ resource_api_version: V3, path_config_source: {{ path: {routes} }} }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ '@type': {HTTP}.http.router.v3.Router }}
  clusters:
{clusters}"
    )
}

fn cluster(side: Side) -> String {
    let (name, port) = (side.color(), side.port());
    format!(
        "  - name: {name}
    type: STATIC
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }}
"
    )
}

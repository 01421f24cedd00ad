//! The nouns of a deployment, parsed in their constructors: a value of one of these types is valid.

mod app;
mod color;
mod cursor;
mod health;
mod host;
mod image;
mod lease;
mod name;
mod observed;
mod path;
mod problem;
mod release;
mod route;
pub mod sealed;
mod settings;
mod site;
mod unit;
mod variable;

pub use app::{App, Docker, Drain, Program, Run, Runtime, Verify};
pub use color::{ByColor, Color, Port};
pub use cursor::{Cursor, Known, Revision, Stored};
pub use health::{Check, HealthCheck};
pub use host::HostId;
pub use image::{Digest, ImageRef, ResolvedImage};
pub use lease::{Holder, Lease, NotALease};
pub use name::{AppName, EnvName, ReleaseId, SwitchId};
pub use observed::{ActiveState, InstanceState, Observed, OpenSwitch, UnitFile};
pub use path::{CredentialId, check_health_path, check_path, check_program};
pub use problem::{Hint, Hinted, Invalid};
pub use release::{Artifact, Release, Resolved};
pub use route::Route;
pub use sealed::{StateError, Unreadable};
pub use settings::{DockerSettings, EtcdSettings, NginxSettings, Settings, StoreSettings};
pub use site::{Certificate, Listen, ServerName, Site};
pub use unit::UnitName;
pub use variable::{EnvironmentFile, PROGRAM_PREFIX};

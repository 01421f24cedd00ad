//! An etcd inside a host, for one test.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use bgctl::model::{EtcdSettings, StoreSettings};
use bgctl::store::Store;
use camino::{Utf8Path, Utf8PathBuf};
use tempfile::TempDir;

use crate::host::Host;

pub struct Etcd {
    pub host: Host,
    /// Its folder in the host.
    pub folder: String,
    port: u16,
    peer_port: u16,
    scheme: &'static str,
    options: String,
}

impl Etcd {
    /// Starts one with these options.
    pub fn start(name: &str, options: &str) -> Self {
        Self::prepare(name).start_with(options)
    }

    /// One that does not run yet: nothing listens on its port.
    pub fn prepare(name: &str) -> Self {
        let host = Host::shared("store", |_| {});
        let folder = format!("/tmp/etcd-{}-{name}", std::process::id());
        host.succeed(&format!("mkdir {folder}"));
        Self {
            host,
            folder,
            port: free_port(),
            peer_port: free_port(),
            scheme: "http",
            options: String::new(),
        }
    }

    pub fn start_with(mut self, options: &str) -> Self {
        self.options = options.into();
        self.run();
        self
    }

    pub fn start_tls(self) -> Self {
        self.start_with_tls("--cert-file server.pem --key-file server.key --trusted-ca-file ca.pem --client-cert-auth")
    }

    /// Starts it with TLS and these options, which name its certificate.
    pub fn start_with_tls(mut self, options: &str) -> Self {
        self.scheme = "https";
        self.start_with(options)
    }

    /// Runs it, also again with the data it had.
    pub fn run(&self) {
        let Self {
            folder,
            peer_port,
            options,
            scheme,
            ..
        } = self;
        let (url, peer) = (
            format!("{scheme}://{}", self.address()),
            format!("http://127.0.0.1:{peer_port}"),
        );
        let etcd = format!(
            "etcd --name test --data-dir data --listen-client-urls {url} --advertise-client-urls {url} \
             --listen-peer-urls {peer} --initial-advertise-peer-urls {peer} --initial-cluster test={peer} --logger zap {options}"
        );
        self.host.succeed(&format!(
            "cd {folder} && {{ setsid sh -c 'echo $$ >pid; exec {etcd}' </dev/null >log 2>&1 & }}"
        ));
        // It listens before its election; this it says after it.
        let ready = "until grep -q 'serving client traffic' log; do sleep 0.02; done";
        self.host.succeed(&format!(
            "cd {folder} && timeout 30 sh -c \"{ready}\" || {{ cat log; exit 1; }}"
        ));
    }

    /// Ends it as a crash does.
    pub fn kill(&self) {
        let folder = &self.folder;
        self.host.succeed(&format!(
            "pid=$(cat {folder}/pid) && kill -9 $pid && while kill -0 $pid; do :; done 2>&-"
        ));
    }

    pub fn signal(&self, signal: &str) {
        // A process that is told to stop may still answer a moment later.
        self.host.succeed(&format!(
            "pid=$(cat {}/pid) && kill -{signal} $pid && \
             if test {signal} = STOP; then while grep -qs '^State:.[^T]' /proc/$pid/task/*/status; do :; done; fi",
            self.folder
        ));
    }

    fn log(&self) -> String {
        self.host.succeed(&format!("tail -n 20 {}/log 2>&1 || :", self.folder))
    }

    fn socket(&self) -> SocketAddr {
        (self.host.address(), self.port).into()
    }

    /// `IP:PORT` for clients.
    pub fn address(&self) -> String {
        self.socket().to_string()
    }

    pub fn settings(&self) -> EtcdSettings {
        EtcdSettings {
            endpoints: vec![format!("{}://{}", self.scheme, self.address())],
            prefix: "/".to_owned(),
            user: None,
            ca: None,
            client: None,
            timeout: Duration::from_secs(5),
            patience: Duration::ZERO,
        }
    }

    /// Runs etcd's own client.
    #[track_caller]
    pub fn etcdctl(&self, arguments: &str) -> String {
        self.host
            .succeed(&format!("etcdctl --endpoints http://{} {arguments}", self.address()))
    }

    /// A CA, certificates of a server and of a client, and another CA.
    pub fn make_certificates(&self) {
        let Self { folder, host, .. } = self;
        let address = host.address();
        let sign = |name: &str, extension: &str| {
            format!(
                "openssl req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}\n\
                 printf '{extension}' >{name}.ext\n\
                 openssl x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out {name}.pem \
                 -extfile {name}.ext\n"
            )
        };
        let authority = |name: &str| {
            format!(
                "openssl req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -days 2 -subj /CN={name}\n"
            )
        };
        let script = [
            format!("set -e\nexec 2>&1\ncd {folder}\n"),
            authority("ca"),
            authority("other-ca"),
            sign("server", &format!("subjectAltName=IP:{address}")),
            sign("client", "extendedKeyUsage=clientAuth"),
        ];
        host.succeed(&script.concat());
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        let folder = &self.folder;
        self.host.succeed(&format!(
            "! test -e {folder}/pid || kill -9 $(cat {folder}/pid) || :; rm -r {folder}"
        ));
    }
}

/// A port that nothing listens on, most likely in the host too: there etcd would not start.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Files that settings name.
pub struct Files {
    folder: TempDir,
}

impl Files {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.folder.path().join(name)).unwrap()
    }

    pub fn write(&self, name: &str, text: &str) -> Utf8PathBuf {
        fs_err::write(self.path(name), text).unwrap();
        self.path(name)
    }
}

pub async fn open(settings: EtcdSettings) -> eyre::Result<Store> {
    Store::open(&StoreSettings::Etcd(settings), Utf8Path::new("/nonexistent")).await
}

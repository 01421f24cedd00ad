//! Starts the program, speaks HTTP to it byte by byte, and ends it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything that should happen at once.
pub const SOON: Duration = Duration::from_secs(10);

/// A running instance; killed when dropped.
pub struct Instance {
    child: Child,
    log: BufReader<ChildStderr>,
    address: Option<SocketAddr>,
}

impl Instance {
    /// Starts one with these variables and nothing else; it may not listen yet.
    pub fn spawn(variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bdd-assistant"));
        command
            .env_clear()
            .envs([("BIND", "127.0.0.1"), ("PORT", "0")])
            .envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self {
            child,
            log,
            address: None,
        }
    }

    /// Starts one, and waits until it listens.
    pub fn start(variables: &[(&str, &str)]) -> Self {
        let mut instance = Self::spawn(variables);
        let line = instance.wait_for_log(" listens on ");
        let (_, address) = line.trim().rsplit_once(" listens on ").expect(&line);
        instance.address = Some(address.parse().unwrap());
        instance
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address.unwrap()
    }

    /// A connection to it.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// One request with an optional body, on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask_with("", method, path, body)
    }

    /// The same, with further header lines.
    pub fn ask_with(&self, headers: &str, method: &str, path: &str, body: &str) -> Answer {
        let mut stream = self.connect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        Answer::parse(&text)
    }

    /// GET of a path.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let status = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits until it has ended.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("still running after {SOON:?}");
    }

    /// Waits for a line of its log that contains this; the line.
    pub fn wait_for_log(&mut self, part: &str) -> String {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert!(
                self.log.read_line(&mut line).unwrap() > 0,
                "the log ends without {part:?}"
            );
        }
        line
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // Both fail where it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
pub struct Answer {
    /// From the status line.
    pub status: u16,
    /// The header lines, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Takes a whole answer apart.
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect(text);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }
}

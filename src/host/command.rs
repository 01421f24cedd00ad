//! Running a program: what it printed to stderr is always in the error, and nothing of it outlives its time.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;

/// How much of a program's output is kept, from its end on, bytes, where nothing else is asked for.
const KEPT: usize = 64 * 1024;

/// How much of it an error shows in its one line, characters.
const SHOWN: usize = 2000;

/// How long output may still come after the program itself ended, before what it left behind is killed.
const STRAGGLERS: Duration = Duration::from_millis(100);

/// A program to run, in a process group of its own.
#[derive(Clone, Debug)]
pub struct Command {
    program: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    input: Option<String>,
    timeout: Duration,
    kept: usize,
}

/// What a program printed, as text; of very much, the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// On its standard output.
    pub stdout: String,
    /// On its standard error.
    pub stderr: String,
}

/// A program that could not be run, or did not end well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot run `{command}`: {how}{}", self.said())]
pub struct Failed {
    /// The command, as a person would type it.
    pub command: String,
    /// What became of it, as in `exit status: 1`.
    pub how: String,
    /// What it printed.
    pub output: Output,
}

impl Failed {
    /// The lines that it printed to stderr, or to stdout where it printed nothing there; see [`distinct`].
    pub fn lines(&self) -> Vec<String> {
        let text = match self.output.stderr.trim() {
            "" => self.output.stdout.trim(),
            stderr => stderr,
        };
        distinct(text.lines().map(str::trim_end))
    }

    fn said(&self) -> String {
        let said = self.lines().join("; ");
        if said.is_empty() {
            return String::new();
        }
        let surplus = said.chars().count().saturating_sub(SHOWN);
        let end: String = said.chars().skip(surplus).collect();
        if surplus > 0 {
            format!(": ...{end}")
        } else {
            format!(": {end}")
        }
    }
}

impl Command {
    /// A program with its arguments, that may run for `timeout`.
    pub fn new(
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = impl Into<String>>,
        timeout: Duration,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            input: None,
            timeout,
            kept: KEPT,
        }
    }

    /// A line for `/bin/sh -c`.
    pub fn shell(line: impl Into<String>, timeout: Duration) -> Self {
        Self::new("/bin/sh", ["-c".to_owned(), line.into()], timeout)
    }

    /// Adds a variable to the environment that the program gets from this one.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Gives the program a line or two on its standard input, which is empty otherwise.
    #[must_use]
    pub fn input(self, text: impl Into<String>) -> Self {
        let input = Some(text.into());
        Self { input, ..self }
    }

    /// Keeps so many bytes of what the program prints, from its end on, and not 64 KiB.
    #[must_use]
    pub fn keeping(self, kept: usize) -> Self {
        Self { kept, ..self }
    }

    /// Runs the program and waits for its end. Fails with [`Failed`] where it cannot be started, ends with
    /// anything but 0, or does not end in time; then it is killed with all of its process group. Dropping the future
    /// kills the group as well.
    pub async fn run(&self) -> Result<Output, Failed> {
        let mut child = self.spawn().map_err(|error| self.failed(&error, Output::default()))?;
        let group = Group::of(&child);
        if let (Some(mut pipe), Some(text)) = (child.stdin.take(), &self.input) {
            // It fits into the pipe, and a program that does not read it has its own reasons.
            let _ = pipe.write_all(text.as_bytes()).await;
        }
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (out_pipe, err_pipe) = (child.stdout.take(), child.stderr.take());
        let ended = {
            let (out, err) = (
                drain(out_pipe, &mut stdout, self.kept),
                drain(err_pipe, &mut stderr, self.kept),
            );
            let printed = async { tokio::join!(out, err) };
            tokio::time::timeout(self.timeout, end_of(&mut child, printed, &group)).await
        };
        let output = Output {
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        };
        match ended {
            Ok(Ok(status)) if status.success() => Ok(output),
            Ok(Ok(status)) => Err(self.failed(&status, output)),
            Ok(Err(error)) => Err(self.failed(&error, output)),
            Err(_) => {
                group.kill();
                Err(self.failed(&format!("it was killed after {:?}", self.timeout), output))
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is its place")]
    fn spawn(&self) -> std::io::Result<Child> {
        tokio::process::Command::new(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(if self.input.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
    }

    fn failed(&self, how: &impl ToString, output: Output) -> Failed {
        let command = match (self.program.as_str(), self.arguments.as_slice()) {
            ("/bin/sh", [_, line]) => line.clone(),
            (program, arguments) => [&[program.to_owned()], arguments].concat().join(" "),
        };
        Failed {
            command,
            how: how.to_string(),
            output,
        }
    }
}

/// Waits for the child's end and for the end of what it prints.
async fn end_of(
    child: &mut Child,
    printed: impl Future<Output = (std::io::Result<()>, std::io::Result<()>)>,
    group: &Group,
) -> std::io::Result<ExitStatus> {
    tokio::pin!(printed);
    let mut done = false;
    let status = loop {
        tokio::select! {
            (out, err) = &mut printed, if !done => { out?; err?; done = true; }
            status = child.wait() => break status?,
        }
    };
    if done {
        group.forget();
        return Ok(status);
    }
    // Something that the program left behind holds its output open: it is not waited for.
    if let Ok((out, err)) = tokio::time::timeout(STRAGGLERS, &mut printed).await {
        out?;
        err?;
    }
    group.kill();
    Ok(status)
}

/// Reads a pipe to its end, and keeps the last `most` bytes.
async fn drain(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>, most: usize) -> std::io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    while pipe.read_buf(kept).await? > 0 {
        if kept.len() > 2 * most {
            kept.drain(..kept.len() - most);
        }
    }
    kept.drain(..kept.len().saturating_sub(most));
    Ok(())
}

/// The process group of a child; killed when this is dropped.
struct Group(std::cell::Cell<Option<Pid>>);

impl Group {
    fn of(child: &Child) -> Self {
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self(std::cell::Cell::new(pid))
    }

    fn forget(&self) {
        self.0.set(None);
    }

    fn kill(&self) {
        if let Some(group) = self.0.take()
            && let Err(error) = kill_process_group(group, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!("cannot kill process group {}: {error}", group.as_raw_nonzero());
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The lines for a person to read: each once, where it is last, and how often it was there.
pub fn distinct(lines: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    let mut distinct: Vec<(String, usize)> = Vec::new();
    for line in lines {
        let line = line.into();
        let before = distinct.iter().position(|(other, _)| *other == line);
        let count = before.map_or(0, |before| distinct.remove(before).1);
        distinct.push((line, count + 1));
    }
    let shown = distinct.into_iter().map(|(line, count)| match count {
        1 => line,
        count => format!("{line} ({count} times)"),
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn output_and_environment() {
        let output = Command::shell("echo $PORT; echo warn >&2", LONG)
            .env("PORT", "9001")
            .run()
            .await
            .unwrap();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("9001\n", "warn\n"));
    }

    #[tokio::test]
    async fn error_says_what_the_program_said() {
        let error = Command::shell("echo ignored; echo one >&2; echo two >&2; exit 3", LONG)
            .run()
            .await
            .unwrap_err();
        assert_eq!(error.lines(), ["one", "two"]);
        assert!(error.to_string().ends_with("exit status: 3: one; two"), "{error}");

        let error = Command::shell("echo on stdout; exit 1", LONG).run().await.unwrap_err();
        assert!(error.to_string().ends_with("exit status: 1: on stdout"), "{error}");

        let error = Command::new("/nonexistent", ["-t"], LONG).run().await.unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot run `/nonexistent -t`: No such file"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn of_much_output_the_end_is_kept() {
        let error = Command::shell("seq 1 100000 >&2; exit 1", LONG)
            .run()
            .await
            .unwrap_err();
        assert_eq!(error.output.stderr.len(), KEPT);
        assert!(error.to_string().ends_with("99999; 100000"));
        assert!(error.to_string().len() < 2 * SHOWN);
    }

    #[tokio::test]
    async fn timeout_kills_the_whole_group() {
        let dir = tempfile::tempdir().unwrap();
        let pid_file = dir.path().join("pid");
        let line = format!("sleep 300 & echo $! > {}; wait", pid_file.display());
        let error = Command::shell(line, Duration::from_millis(300))
            .run()
            .await
            .unwrap_err();
        assert!(error.how.contains("killed after 300ms"), "{error}");
        let pid: i32 = fs_err::read_to_string(pid_file).unwrap().trim().parse().unwrap();
        wait_until_gone(pid).await;
    }

    #[tokio::test]
    async fn process_that_holds_the_output_open_is_not_waited_for() {
        let began = Instant::now();
        let output = Command::shell("sleep 300 & echo $!", LONG).run().await.unwrap();
        assert!(began.elapsed() < LONG / 2);
        wait_until_gone(output.stdout.trim().parse().unwrap()).await;
    }

    async fn wait_until_gone(pid: i32) {
        let state = format!("/proc/{pid}/stat");
        let deadline = Instant::now() + LONG;
        // A killed orphan may stay as a zombie where nobody reaps it.
        while fs_err::read_to_string(&state).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline, "process {pid} is still there");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

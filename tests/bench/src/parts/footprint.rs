//! Memory, size and start of the program.

use std::process::{Command, Stdio};
use std::time::Duration;

use eyre::OptionExt as _;
use fs_err as fs;

use crate::Effort;
use crate::app::{App, Runtime};
use crate::figure::Figure;
use crate::host::{self, sh};

/// So long that the worker certainly is seen in it.
const BAKE: &str = "[bake]\nduration = \"2s\"\n";
const MIB: f64 = 1024.0 * 1024.0;

/// All of it.
pub fn measure(effort: Effort) -> eyre::Result<Vec<Figure>> {
    let mut figures = vec![size()?];
    figures.extend(start(effort)?);
    figures.extend(memory(effort)?);
    Ok(figures)
}

fn size() -> eyre::Result<Figure> {
    let bytes: u32 = fs::metadata("/usr/local/bin/bgctl")?.len().try_into()?;
    let file = sh("file -b /usr/local/bin/bgctl || true")?;
    eyre::ensure!(
        !file.contains("not stripped"),
        "bgctl is not stripped: this is no release build"
    );
    Ok(Figure::new("size of the stripped program", "MiB", &[f64::from(bytes) / MIB]).at_most(12.0))
}

fn start(effort: Effort) -> eyre::Result<Vec<Figure>> {
    let (mut ours, mut smallest) = (Vec::new(), Vec::new());
    for _ in 0..effort.runs(50, 20) {
        ours.push(host::time(Command::new("bgctl").arg("--version"))?);
        smallest.push(host::time(&mut Command::new("/bin/true"))?);
    }
    Ok(vec![
        Figure::new("bgctl --version", "ms", &ours),
        Figure::new("/bin/true, to compare", "ms", &smallest),
    ])
}

fn memory(effort: Effort) -> eyre::Result<Vec<Figure>> {
    let app = App::install("bench-memory", Runtime::Program, 9381, "", BAKE)?;
    let (mut workers, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..effort.runs(5, 2) {
        let mut client = Command::new("bgctl")
            .args(["switch", app.name, "--json"])
            .stdout(Stdio::null())
            .spawn()?;
        let (mut worker, mut of_worker, mut of_client) = (None, None, None);
        while client.try_wait()?.is_none() {
            if worker.is_none() {
                worker = main_process(&format!("bgctl-switch@{}", app.name))?;
            }
            // A peak only grows; what ended in between has none any more.
            of_client = peak(client.id()).or(of_client);
            of_worker = worker.and_then(peak).or(of_worker);
            std::thread::sleep(Duration::from_millis(2));
        }
        eyre::ensure!(client.wait()?.success(), "the switch of {} failed", app.name);
        workers.push(of_worker.ok_or_eyre("the worker was not seen")?);
        clients.push(of_client.ok_or_eyre("the client was not seen")?);
    }
    Ok(vec![
        Figure::new("peak memory of the worker, with a bake", "MiB", &workers).at_most(16.0),
        Figure::new("peak memory of bgctl switch", "MiB", &clients),
    ])
}

/// The main process of a unit that runs.
fn main_process(unit: &str) -> eyre::Result<Option<u32>> {
    let said = sh(&format!("systemctl show --property MainPID --value {unit}"))?;
    Ok(said.trim().parse().ok().filter(|id| *id != 0))
}

/// The most memory that a process ever held, MiB (`VmHWM` of proc(5)).
fn peak(process: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024.0)
}

//! What a whole switch takes beyond what it cannot avoid: the time until the app itself answers. What systemd and Docker
//! need to start and to stop an instance counts as bgctl's here, so that the same alone is measured beside it.

use std::process::Command;

use fs_err as fs;

use crate::Effort;
use crate::app::{App, Runtime, Store, started};
use crate::figure::Figure;
use crate::host::{now, sh, time};

/// With both stores and both runtimes.
pub fn measure(effort: Effort) -> eyre::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for store in [Store::Local, Store::Etcd] {
        store.choose()?;
        for runtime in [Runtime::Program, Runtime::Docker] {
            figures.extend(switches(store, runtime, effort)?);
        }
        figures.extend(rollbacks(store, effort)?);
    }
    for runtime in [Runtime::Program, Runtime::Docker] {
        figures.extend(floor(runtime, effort)?);
    }
    figures.push(nothing(effort)?);
    Ok(figures)
}

fn switches(store: Store, runtime: Runtime, effort: Effort) -> eyre::Result<Vec<Figure>> {
    let app = App::install("bench-overhead", runtime, 9331, "", "")?;
    let (mut to_promote, mut in_all) = (Vec::new(), Vec::new());
    let (mut plan, mut worker, mut gate) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.runs(15, 5) {
        let switch = app.switch()?;
        let answers = app.answers_since(switch.to())?;
        let app_start = answers - switch.started("start")?;
        to_promote.push(switch.done("promote")? - switch.began - app_start);
        in_all.push(switch.total() - app_start);
        plan.push(switch.opened - switch.began);
        worker.push(switch.resumed()? - switch.opened);
        gate.push(switch.done("start")? - answers);
    }
    let name = |what: &str| format!("{what}, {}, {}", runtime.name(), store.name());
    let target = match store {
        Store::Etcd => 50.0,
        Store::Local => 30.0,
    };
    Ok(vec![
        Figure::new(name("switch, to the promote"), "ms", &to_promote).at_most(target),
        Figure::new(name("switch, in all, with drain and stop"), "ms", &in_all).at_most(300.0),
        Figure::new(name("of that: look at the host, and plan"), "ms", &plan),
        Figure::new(name("of that: start the worker"), "ms", &worker),
        Figure::new(
            name("of that: from the app's first answer to the end of its start"),
            "ms",
            &gate,
        ),
    ])
}

/// The old color still runs, so that a rollback is only a flip.
fn rollbacks(store: Store, effort: Effort) -> eyre::Result<Vec<Figure>> {
    let app = App::install("bench-warm", Runtime::Program, 9341, "", "[drain]\nkeep_warm = true\n")?;
    app.switch()?;
    let (mut to_promote, mut in_all) = (Vec::new(), Vec::new());
    for _ in 0..effort.runs(15, 5) {
        let switch = app.rollback()?;
        to_promote.push(switch.done("promote")? - switch.began);
        in_all.push(switch.total());
    }
    let target = match store {
        Store::Etcd => 50.0,
        Store::Local => 30.0,
    };
    Ok(vec![
        Figure::new(
            format!("warm rollback, to the promote, {}", store.name()),
            "ms",
            &to_promote,
        )
        .at_most(target),
        Figure::new(format!("warm rollback, in all, {}", store.name()), "ms", &in_all).at_most(300.0),
    ])
}

/// What systemd and the runtime take alone, by `systemctl`: from the app's first moment to the end of the start job, and
/// for a stop.
fn floor(runtime: Runtime, effort: Effort) -> eyre::Result<Vec<Figure>> {
    let app = App::install("bench-floor", runtime, 9351, "", "[drain]\nkeep_warm = true\n")?;
    app.switch()?;
    let (port, mut gates, mut stops) = (app.port("blue"), Vec::new(), Vec::new());
    for _ in 0..effort.runs(10, 5) {
        let before = now();
        sh(&format!("systemctl stop {}@{port}", app.name))?;
        stops.push(now() - before);
        sh(&format!("systemctl start {}@{port}", app.name))?;
        gates.push(now() - started(port)?);
    }
    let name = |what: &str| format!("{what}, {}", runtime.name());
    Ok(vec![
        Figure::new(name("systemctl start alone, after the app answers"), "ms", &gates),
        Figure::new(name("systemctl stop alone"), "ms", &stops),
    ])
}

/// What systemd takes for a unit that does nothing: a process that it forks, puts into a cgroup and waits for. The worker of
/// a switch costs at least that.
fn nothing(effort: Effort) -> eyre::Result<Figure> {
    const UNIT: &str = "/run/systemd/system/bench-nothing.service";
    fs::write(UNIT, "[Service]\nType=oneshot\nExecStart=/bin/true\n")?;
    sh("systemctl daemon-reload")?;
    let mut times = Vec::new();
    for _ in 0..effort.runs(15, 5) {
        times.push(time(Command::new("systemctl").args(["start", "bench-nothing"]))?);
    }
    fs::remove_file(UNIT)?;
    sh("systemctl daemon-reload")?;
    Ok(Figure::new(
        "systemctl start alone, of a unit that does nothing",
        "ms",
        &times,
    ))
}

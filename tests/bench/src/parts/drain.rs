//! When the old color is stopped: after its last request, and soon.

use std::time::Duration;

use crate::Effort;
use crate::app::{App, Runtime};
use crate::figure::Figure;
use crate::host::get;

/// How long the request takes that is in flight, milliseconds: longer than the switch takes until it drains.
const SLOW: u32 = 900;

/// Switches, each with one slow request of the old color.
pub fn measure(effort: Effort) -> eyre::Result<Vec<Figure>> {
    let app = App::install("bench-drain", Runtime::Program, 9361, "", "")?;
    let (mut seen, mut asked, mut stopped) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.runs(15, 5) {
        let host = app.host();
        let slow = std::thread::spawn(move || get(80, &host, &format!("/slow?ms={SLOW}")));
        // The request is to be there before the switch is.
        std::thread::sleep(Duration::from_millis(20));
        let switch = app.switch()?;
        let answer = slow.join().map_err(|_| eyre::eyre!("the slow request broke off"))??;
        eyre::ensure!(
            answer.is_ok() && answer.header("x-color") == switch.from(),
            "the slow request was not answered by the old color: {}",
            answer.head
        );
        eyre::ensure!(
            switch.started("drain")? < answer.at,
            "the slow request was over before the drain"
        );
        seen.push(switch.done("drain")? - answer.at);
        asked.push(switch.started("stop")? - answer.at);
        stopped.push(switch.done("stop")? - answer.at);
    }
    Ok(vec![
        Figure::new("drained, after the end of the last request", "ms", &seen).never_below(0.0),
        Figure::new("stop begins, after the end of the last request", "ms", &asked)
            .at_most(250.0)
            .never_below(0.0),
        Figure::new("stopped, after the end of the last request", "ms", &stopped)
            .at_most(250.0)
            .never_below(0.0),
    ])
}

//! The README shows what a host prints.

use crate::host::Host;

/// The registry of the README's images; here it is the host's own.
const REGISTRY: &str = "registry.example";
const LOCAL: &str = "localhost:5000";

/// The first block of a language.
fn block<'a>(markdown: &'a str, language: &str) -> &'a str {
    let (_, rest) = markdown.split_once(&format!("```{language}\n")).unwrap();
    rest.split("```").next().unwrap()
}

/// The commands of a session, each with the lines that it prints.
fn session(text: &str) -> Vec<(&str, Vec<&str>)> {
    let commands = text.split("# ").skip(1).map(|part| {
        let mut lines = part.lines();
        (lines.next().unwrap(), lines.collect())
    });
    commands.collect()
}

/// Whether two lines are the same but for times, revisions and the width of columns.
fn is_same(shown: &str, printed: &str) -> bool {
    let words = |line: &str| -> Vec<String> {
        let line = line.replace(" ms", " s");
        let words: Vec<_> = line.split_whitespace().collect();
        let varies = |at: usize| {
            let is_time = words.get(at + 1).is_some_and(|unit| unit.trim_end_matches(';') == "s");
            is_time || at > 0 && words[at - 1] == "revision"
        };
        let word = |(at, word): (usize, &&str)| if varies(at) { "N".to_owned() } else { (*word).to_owned() };
        words.iter().enumerate().map(word).collect()
    };
    words(shown) == words(printed)
}

/// Whether all lines that are shown were printed in this order, and no others where none are left out (`...`).
fn is_shown(shown: &[&str], printed: &[&str]) -> bool {
    match (shown, printed) {
        ([], []) => true,
        ([dots, shown @ ..], _) if dots.trim() == "..." => {
            (0..=printed.len()).any(|skipped| is_shown(shown, &printed[skipped..]))
        }
        ([first, shown @ ..], [line, printed @ ..]) => is_same(first, line) && is_shown(shown, printed),
        _ => false,
    }
}

#[test]
fn readme_shows_what_a_host_prints() {
    let readme = std::fs::read_to_string(crate::lock::repository().join("README.md")).unwrap();
    let host = Host::boot("readme");
    host.succeed("sh /vagrant/vagrant/push-release v1 v2");
    for (release, tag) in [("v1", "1.0"), ("v2", "2.0")] {
        let (from, to) = (
            format!("{LOCAL}/bdd-assistant:{release}"),
            format!("{LOCAL}/shop:{tag}"),
        );
        host.succeed(&format!("docker tag {from} {to} && docker push -q {to}"));
    }
    host.copy_in("/root/shop.toml", &block(&readme, "toml").replace(REGISTRY, LOCAL));
    let session = session(block(&readme, "console"));
    assert!(session.len() >= 4, "{session:?}");
    for (command, shown) in session {
        let output = host.run(&format!("cd /root && exec {} 2>&1", command.replace(REGISTRY, LOCAL)));
        let printed = output.expect(0).stdout.replace(LOCAL, REGISTRY);
        let lines: Vec<_> = printed.lines().collect();
        assert!(is_shown(&shown, &lines), "{command} prints\n{printed}");
    }
}

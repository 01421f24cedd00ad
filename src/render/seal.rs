//! The seal: the last line of every file that bgctl renders. It tells bgctl's own files from everybody else's, and
//! untouched ones from those that a person edited.

use crate::model::AppName;
use crate::model::sealed::sha256_hex;

const START: &str = "# bgctl ";
const START_SUPPORT: &str = "# bgctl sha256:";

/// What the seal of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seal {
    /// bgctl wrote the file for this app, and nobody changed it since.
    Intact(AppName),
    /// bgctl wrote it for this app, and somebody changed it since.
    Edited(AppName),
    /// bgctl did not write it.
    Foreign,
}

/// The text with its seal as one more line: `# bgctl APP sha256:HEX` over all bytes before that line.
#[must_use]
pub fn seal(app: &AppName, text: &str) -> String {
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let line = line(app, &text);
    text + &line + "\n"
}

/// The text of a file that belongs to no app, with its seal as one more line: `# bgctl sha256:HEX`.
#[must_use]
pub fn seal_support(text: &str) -> String {
    let hex = hex(text);
    format!("{text}# bgctl sha256:{hex}\n")
}

/// Whether the file is as [`seal_support`] made it, of whatever version of bgctl: then it may be replaced.
pub fn is_intact_support(text: &str) -> bool {
    text.rsplit_once(START_SUPPORT)
        .is_some_and(|(body, _)| seal_support(body) == text)
}

/// Whether the file has a seal of no app, intact or not.
pub fn is_support(text: &str) -> bool {
    text.lines().any(|line| line.starts_with(START_SUPPORT))
}

/// Reads the seal of a file. Lines after it do not matter for whose the file is, but they are a change.
pub fn check(text: &str) -> Seal {
    let Some(app) = text.lines().rev().find_map(owner) else {
        return Seal::Foreign;
    };
    let kept = text.strip_suffix('\n').unwrap_or(text);
    let start = kept.rfind('\n').map_or(0, |newline| newline + 1);
    let (body, _) = text.split_at(start);
    if text.strip_prefix(body) == Some(&(line(&app, body) + "\n")) {
        Seal::Intact(app)
    } else {
        Seal::Edited(app)
    }
}

/// The app of a line that is a seal.
fn owner(line: &str) -> Option<AppName> {
    let (app, _) = line.strip_prefix(START)?.split_once(" sha256:")?;
    AppName::parse(app).ok()
}

fn line(app: &AppName, body: &str) -> String {
    format!("{START}{app} sha256:{}", hex(body))
}

/// The sha256 of a text as hexadecimal digits.
pub(super) fn hex(body: &str) -> String {
    sha256_hex(body.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> AppName {
        AppName::parse("shop").unwrap()
    }

    #[test]
    fn sealed_text_is_intact() {
        for text in ["", "a", "a\n", "a\n\n", "a\n# bgctl other sha256:00\n"] {
            assert_eq!(check(&seal(&shop(), text)), Seal::Intact(shop()), "{text:?}");
        }
    }

    #[test]
    fn every_changed_byte_shows() {
        let sealed = seal(&shop(), "[Service]\nType=exec\n");
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] ^= 1;
            let changed = String::from_utf8(bytes).unwrap();
            assert_ne!(check(&changed), Seal::Intact(shop()), "byte {at}");
        }
        assert_eq!(check(&format!("# mine\n{sealed}")), Seal::Edited(shop()));
        assert_eq!(check(&format!("{sealed}\n")), Seal::Edited(shop()));
        assert_eq!(check(&format!("{sealed}MaxTasks=1\n")), Seal::Edited(shop()));
        assert_eq!(check(sealed.trim_end()), Seal::Edited(shop()));
    }

    #[test]
    fn files_of_others_are_foreign() {
        for text in ["", "\n", "[Service]\n", "# bgctl\n", "# bgctl ../x sha256:00\n"] {
            assert_eq!(check(text), Seal::Foreign, "{text:?}");
        }
    }

    #[test]
    fn files_of_no_app() {
        let sealed = seal_support("[Service]\n");
        assert!(is_intact_support(&sealed));
        assert_eq!(check(&sealed), Seal::Foreign);
        for changed in [
            "[Service]\n",
            "",
            &sealed.replace("Service", "Unit"),
            &format!("{sealed}\n"),
        ] {
            assert!(!is_intact_support(changed), "{changed:?}");
        }
        assert!(is_support(&format!("{sealed}# mine\n")));
        assert!(!is_support(&seal(&shop(), "[Service]\n")));
    }
}

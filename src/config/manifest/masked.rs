//! A manifest that may be shown.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
struct Manifest {
    run: Option<Run>,
}

#[derive(Deserialize)]
struct Run {
    #[serde(default)]
    env: BTreeMap<String, Spanned<String>>,
}

/// The text of a manifest with `***` in place of the values of `[run] env`: they may be secrets. Of a text that is no
/// manifest nothing is shown.
pub fn masked(text: &str) -> String {
    let Ok(manifest) = toml::from_str::<Manifest>(text) else {
        return "***\n".to_owned();
    };
    let env = manifest.run.map(|run| run.env).unwrap_or_default();
    let mut spans: Vec<_> = env.values().map(Spanned::span).collect();
    spans.sort_by_key(|span| std::cmp::Reverse(span.start));
    let mut shown = text.to_owned();
    for span in spans {
        shown.replace_range(span, "***");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_shown_however_it_is_written() {
        let texts = [
            "[run]\nenv = { A = \"sec-1\", B = 'sec-2' } # end\n",
            "[run.env]\nA = \"sec-1\"\nB = \"\"\"\nsec-2\nsec\"\"\"\n[ports]\n",
            "[run]\nenv.\"A\" = \"sec-1\"\nenv.B=\"sec-ü\"\nargs = [\"x\"]\n",
            "run = { env = { A = [\"sec-1\", \"sec-2\"], B = 1 } }\n",
            "[run]\nenv = { A = \"sec-1\"\n",
            "[run]\nenv = { A.B = \"sec-1\", C = \"sec-2\" }\n",
            "[run.env.A]\nB = \"sec-1\"\n",
        ];
        for text in texts {
            let shown = masked(text);
            assert!(!shown.contains("sec") && shown.contains("***"), "{shown}");
        }
        assert_eq!(masked(texts[0]), "[run]\nenv = { A = ***, B = *** } # end\n");
        let plain = "name = \"shop\"\n[run]\nexec = \"/x\"\n";
        assert_eq!(masked(plain), plain);
        assert_eq!(masked(""), "");
    }
}

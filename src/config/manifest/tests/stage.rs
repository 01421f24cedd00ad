//! `[stage]`.

use super::*;

#[test]
fn stage_never_expires_or_after_some_time() {
    let expires = |tail: &str| parse(&format!("{HEAD}{tail}"), "shop.toml").unwrap().stage.expires;
    assert_eq!(expires(""), None);
    assert_eq!(expires("[stage]\n"), None);
    assert_eq!(
        expires("[stage]\nexpires = \"1h 30m\"\n"),
        Some(Duration::from_secs(5400))
    );
    let wrong = ["\"0s\"", "\"-1h\"", "\"169h\"", "60"].map(|time| format!("expires = {time}"));
    let wrong: Vec<_> = wrong.iter().map(String::as_str).chain(["expire = \"1h\""]).collect();
    insta::assert_snapshot!(errors(&format!("{HEAD}[stage]\n"), &wrong), @r#"
    6:11 cannot use 0 as expires: it must be more
    6:11 cannot use "-1h" as a time: write a number with its unit, as in "30s", "2m" or "500ms"
    6:11 cannot use "169h" as a time: 7 days is the most
    6:11 cannot use this value: it must be a time with its unit in quotes, as in "30s"
    6:1 cannot use the key "expire": there is no such key, did you mean "expires"?
    "#);
}

use super::*;

#[test]
fn json_is_as_documented() {
    let line = Line {
        app: AppName::parse("shop").unwrap(),
        active: Some(Color::Blue),
        release: Some(ReleaseId::parse("r7").unwrap()),
        state: Some(ActiveState::Active),
        route: Some(Color::Blue),
        staged: None,
        open_switch: Some(SwitchId::numbered(8)),
        as_of: None,
        note: None,
    };
    let json = serde_json::to_string_pretty(&[line]).unwrap() + "\n";
    assert_eq!(json, include_str!("../../../cli/json/apps.json"));
}

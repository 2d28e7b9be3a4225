use std::process::{Command, Output};

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_arm-simulator")).args(arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn every_ready_made_world_is_printed_and_understood() {
    let directory = tempfile::tempdir().unwrap();
    let list = told(&program(&["seed", "--list"]));
    let names: Vec<&str> = list.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["empty", "hub-spoke", "attacker", "mess", "clean", "clients"]);
    for name in names {
        let printed = program(&["seed", name]);
        assert!(told(&printed).starts_with("# "), "{name}: says what it is");
        let file = directory.path().join("world.yaml");
        std::fs::write(&file, printed.stdout).unwrap();
        let checked = program(&["check", file.to_str().unwrap()]);
        assert_eq!(checked.status.code(), Some(0), "{name}: {}", told(&checked));
    }
    let unknown = program(&["seed", "nowhere"]);
    assert!(!unknown.status.success());
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("hub-spoke"), "says which there are");
}

#[test]
fn a_check_says_what_is_wrong_and_where() {
    let directory = tempfile::tempdir().unwrap();
    let sub = "00000000-0000-0000-0000-000000000001";
    let fine = format!("subscriptions:\n- {{ subscriptionId: {sub}, tenantId: t }}\n");
    for (text, code, expected) in [
        (fine.clone(), 0, "understood as a seed"),
        ("clockSpeed: 2".to_owned(), 0, "understood as settings"),
        ("[{ method: PUT, times: 2, action: { kind: drop } }]".to_owned(), 0, "understood as a fault plan"),
        (format!("{fine}colour: red\n"), 1, ":3: unknown field"),
        ("pageSize: 3\nclockSpeed: fast\n".to_owned(), 1, ":2: "),
        ("- action: { kind: drop }\n- path: '('\n  action: { kind: drop }\n".to_owned(), 1, "not a regular expression"),
        ("- { probability: 7, action: { kind: drop } }".to_owned(), 1, "fault 1: probability 7 is not from 0 to 1"),
        (
            format!("{fine}resourceGroups:\n- {{ subscriptionId: other, name: g, location: l }}\n"),
            1,
            ":4: subscription 'other' is not known",
        ),
        (
            format!(
                "{fine}resources:\n- id: /subscriptions/{sub}/resourceGroups/no/providers/Microsoft.Sql/servers/s\n"
            ),
            1,
            ":4: resource group 'no' is not known",
        ),
        (
            format!("{fine}roleAssignments:\n- {{ scope: /, role: Owner, principalId: ghost }}\n"),
            1,
            ":4: nobody has the object id 'ghost'",
        ),
        (format!("{fine}roleAssignments:\n- {{ scope: /, role: Ruler, principalId: g }}\n"), 1, ":4: role 'Ruler'"),
        (
            format!("{fine}connections:\n- target: /subscriptions/{sub}/nothing\n  privateEndpointId: /x\n"),
            1,
            ":4: resource '",
        ),
    ] {
        let file = directory.path().join("file.yaml");
        std::fs::write(&file, &text).unwrap();
        let output = program(&["check", file.to_str().unwrap()]);
        assert!(told(&output).contains(expected), "{text}: {}", told(&output));
        assert_eq!(output.status.code(), Some(code), "{text}");
    }
    assert_eq!(program(&["check", "/nowhere.yaml"]).status.code(), Some(2));
    assert_eq!(program(&["check"]).status.code(), Some(2));
}

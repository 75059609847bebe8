//! The files that platforms read name programs, flags and settings that there are.

use rhubarb_e2e::{file, installation::Installation, redis_server::RedisServer};
use serde_json::Value;

use crate::BINARIES;

#[tokio::test]
async fn every_process_of_the_procfile_is_a_command_that_there_is() {
    let installation = Installation::new(BINARIES, RedisServer::not_started(), "");
    let processes = std::fs::read_to_string(file("../Procfile")).unwrap();
    let mut names = Vec::new();
    for line in processes.lines() {
        let (name, command) = line.split_once(": ").unwrap();
        let mut words = command.split(' ');
        let program = match words.next().unwrap().strip_prefix("./target/release/").unwrap() {
            "worker" => BINARIES.worker,
            "beat" => BINARIES.beat,
            "rhubarb" => BINARIES.rhubarb,
            other => panic!("there is no program {other}"),
        };
        let args: Vec<&str> = words.chain(["--help"]).collect();
        let ran = rhubarb_e2e::installation::run(installation.command(program, &args)).await;
        assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
        names.push(name.to_owned());
    }
    assert_eq!(names, ["web", "worker", "beat", "release"]);
}

#[tokio::test]
async fn every_variable_of_app_json_is_a_setting() {
    let mut installation = Installation::new(BINARIES, RedisServer::not_started(), "");
    let app = std::fs::read(file("../app.json")).unwrap();
    let app: Value = serde_json::from_slice(&app).unwrap();
    let hash = format!("ops:{}", "0".repeat(64));
    for (name, variable) in app["env"].as_object().unwrap() {
        assert!(name.starts_with("RHUBARB_"), "{name}");
        // A variable of ours that is no setting is refused.
        installation.set(name, variable["value"].as_str().unwrap_or(&hash));
    }
    let ran = installation.rhubarb(&["--print-config"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for line in ["layout = \"two\"", "ssl_cert_reqs = \"none\""] {
        assert!(ran.stdout.contains(line), "no `{line}` in\n{}", ran.stdout);
    }
}

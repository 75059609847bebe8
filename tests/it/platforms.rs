//! The files that platforms read name programs, flags and settings that there are.

use std::os::unix::net::UnixDatagram;

use rhubarb_e2e::{file, installation::Installation, redis_server::RedisServer};
use serde_json::Value;

use crate::{BINARIES, shop::SOON};

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

/// Returns `command: [a, b]` of a file as words.
fn commands(name: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(file(name)).unwrap();
    let list = |line: &str| -> Option<Vec<String>> {
        let inside = line.trim().strip_prefix("command: [")?.strip_suffix(']')?;
        Some(inside.split(',').map(|word| word.trim().trim_matches('"').to_owned()).collect())
    };
    text.lines().filter_map(list).collect()
}

#[tokio::test]
async fn every_command_of_the_cluster_and_of_compose_is_one_that_there_is() {
    let installation = Installation::new(BINARIES, RedisServer::not_started(), "");
    let files = ["compose.yaml", "kubernetes/worker.yaml", "kubernetes/beat.yaml"];
    let mut seen = 0;
    for name in files.into_iter().chain(["kubernetes/dashboard.yaml"]) {
        for command in commands(&format!("../deploy/{name}")) {
            let program = match &*command[0] {
                "worker" => BINARIES.worker,
                "beat" => BINARIES.beat,
                "rhubarb" => BINARIES.rhubarb,
                _ => continue,
            };
            let args: Vec<&str> =
                command[1..].iter().map(|word| &**word).chain(["--help"]).collect();
            let ran = rhubarb_e2e::installation::run(installation.command(program, &args)).await;
            assert_eq!(ran.code, 0, "{command:?}: {}", ran.stderr);
            seen += 1;
        }
    }
    assert_eq!(seen, 6);
}

#[tokio::test]
async fn the_clusters_configuration_is_one() {
    let configuration = std::fs::read_to_string(file("../deploy/kubernetes/rhubarb.toml")).unwrap();
    let installation = Installation::new(BINARIES, RedisServer::not_started(), &configuration);
    let ran = installation.rhubarb(&["--print-config"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[tokio::test]
async fn each_unit_starts_a_program_that_tells_when_it_is_ready() {
    let mut installation = Installation::new(BINARIES, RedisServer::start().await, "");
    let path = installation.folder().join("notify");
    let supervisor = UnixDatagram::bind(&path).unwrap();
    supervisor.set_read_timeout(Some(SOON)).unwrap();
    installation.set("NOTIFY_SOCKET", path.to_str().unwrap());
    installation.set("RHUBARB_WEB_PORT", "0");
    for unit in ["rhubarb-worker@.service", "rhubarb-beat.service", "rhubarb-web.service"] {
        let text = std::fs::read_to_string(file(&format!("../deploy/systemd/{unit}"))).unwrap();
        assert!(text.contains("\nType=notify\n"), "{unit}");
        let start = text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/")).unwrap();
        let start = start.replace("%i@%H", "1@here");
        let mut words = start.split(' ');
        let program = match words.next().unwrap() {
            "worker" => BINARIES.worker,
            "beat" => BINARIES.beat,
            "rhubarb" => BINARIES.rhubarb,
            other => panic!("there is no program {other}"),
        };
        let args: Vec<&str> = words.collect();
        let _running = installation.start(unit, program, &args);
        let mut said = [0; 64];
        let read = supervisor.recv(&mut said).unwrap_or_else(|error| panic!("{unit}: {error}"));
        assert_eq!(&said[..read], b"READY=1\n", "{unit}");
    }
}

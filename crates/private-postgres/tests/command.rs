//! The program `private-postgres`, as a shell would run it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn private_postgres(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_private-postgres"));
    command.args(arguments);
    command
}

/// Runs a shell script beside a server that is gone with it.
fn run(script: &str) -> Output {
    private_postgres(&["--", "sh", "-c", script]).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn the_command_finds_the_server_and_leaves_nothing_behind() {
    let output = run(r#"psql -XAtqc 'select 1' && psql -XAtq "$DATABASE_URL" -c 'select 2' && echo "$PGHOST"; exit 7"#);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = stdout.lines().collect();
    let ["1", "2", socket_dir] = lines.as_slice() else { panic!("{stdout}") };
    let directory = Path::new(socket_dir).ancestors().nth(2).unwrap();
    assert!(directory.starts_with("/tmp") && !directory.exists(), "{socket_dir}");
}

#[test]
fn a_data_directory_keeps_the_database_under_its_names() {
    let root = tempfile::Builder::new().tempdir_in("/tmp").unwrap();
    let data_dir = root.path().to_str().unwrap();
    let psql = |sql: &str| {
        let options = ["--data-dir", data_dir, "--user", "me", "--database", "shop", "psql", "-XAtqc", sql];
        let output = private_postgres(&options).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        said(&output)
    };
    psql("create table kept as select current_user || '@' || current_database() as name");
    assert_eq!(psql("select name from kept"), "me@shop\n");
    if let Ok(home) = std::fs::read_link(root.path().join("postgres")) {
        std::fs::remove_dir_all(home).unwrap();
    }
}

#[test]
fn the_exit_code_tells_whose_failure_it_was() {
    assert_eq!(run("kill -KILL $$").status.code(), Some(128 + 9));
    for (arguments, code, problem) in [
        (&["--", "/nowhere/command"][..], 127, "could not run /nowhere/command"),
        (&["--", "/"], 126, "could not run /"),
        (&["--bin-dir", "/nowhere", "true"], 125, "/nowhere does not hold `postgres` and `initdb`"),
        (&["--data-dir", "/nowhere"], 125, "<COMMAND>"),
    ] {
        let output = private_postgres(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(problem), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn sigterm_ends_the_command_and_then_the_server() {
    let script = r#"echo "$PGHOST"; exec sleep 600"#;
    let mut process = private_postgres(&["sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    let mut socket_dir = String::new();
    stdout.read_line(&mut socket_dir).unwrap();
    assert!(Path::new(socket_dir.trim_end()).exists(), "{socket_dir}");
    kill(Pid::from_raw(i32::try_from(process.id()).unwrap()), Signal::SIGTERM).unwrap();
    stdout.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(128 + 15));
    assert!(!Path::new(socket_dir.trim_end()).exists(), "{socket_dir}");
}

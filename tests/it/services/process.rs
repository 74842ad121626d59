//! Processes that a test starts on a free loopback port: fatalmonitor itself, Prometheus, Alertmanager.
//!
//! A process keeps its folder and its port over `kill` and `start`, as a restarted service does. Dropping it
//! kills it; when the test failed, the end of its log is printed.

use super::{PATIENCE, children_folder, eventually, free_port, http, rig_variable};
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use tempfile::TempDir;

/// A program with its folder and its port; it runs between `start` and `kill` or `terminate`.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Process {
    /// Prepares `fatalmonitor serve` with this configuration, in which `{listen}` and `{data_dir}` are filled in.
    pub(crate) fn fatalmonitor(config: &str) -> Self {
        let mut process = Self::new("fatalmonitor", env!("CARGO_BIN_EXE_fatalmonitor").into());
        process.write_config("fatalmonitor.toml", config);
        process.arguments = vec![
            "serve".into(),
            "--config".into(),
            process.path("fatalmonitor.toml").display().to_string(),
        ];
        process
    }

    /// Prepares `fatalmonitor demo` with these arguments.
    pub(crate) fn demo(arguments: &[&str]) -> Self {
        let mut process = Self::new("fatalmonitor", env!("CARGO_BIN_EXE_fatalmonitor").into());
        process.arguments = vec!["demo".into(), "--listen".into(), process.address()];
        let data_dir = process.data_dir().display().to_string();
        process.arguments.extend(["--data-dir".into(), data_dir]);
        process
            .arguments
            .extend(arguments.iter().map(|it| (*it).to_owned()));
        process
    }

    /// Prepares a Prometheus with this configuration, in which `{listen}` is its own address.
    pub(crate) fn prometheus(config: &str) -> Self {
        let program = rig_variable("FATALMONITOR_TEST_PROMETHEUS_BIN");
        let mut process = Self::new("prometheus", program.into());
        process.write_config("prometheus.yml", config);
        process.arguments = vec![
            format!("--config.file={}", process.path("prometheus.yml").display()),
            format!("--storage.tsdb.path={}", process.data_dir().display()),
            format!("--web.listen-address={}", process.address()),
        ];
        process
    }

    /// Prepares an Alertmanager with this configuration, in which `{listen}` is its own address.
    pub(crate) fn alertmanager(config: &str) -> Self {
        let program = rig_variable("FATALMONITOR_TEST_ALERTMANAGER_BIN");
        let mut process = Self::new("alertmanager", program.into());
        process.write_config("alertmanager.yml", config);
        process.arguments = vec![
            format!(
                "--config.file={}",
                process.path("alertmanager.yml").display()
            ),
            format!("--storage.path={}", process.data_dir().display()),
            format!("--web.listen-address={}", process.address()),
            "--cluster.listen-address=".into(),
        ];
        process
    }

    fn new(name: &'static str, program: PathBuf) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("fatalmonitor-it-")
            .tempdir();
        let folder = folder.expect("a temporary folder can be made");
        let (arguments, environment) = (Vec::new(), Vec::new());
        let port = free_port();
        Self {
            name,
            program,
            arguments,
            environment,
            folder,
            port,
            child: None,
        }
    }

    /// Adds an argument to the command line.
    pub(crate) fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets a variable of the process' environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes (again) a configuration file of the folder; it counts from the next start.
    pub(crate) fn write_config(&self, file: &str, config: &str) {
        let data_dir = self.data_dir().display().to_string();
        let text = config
            .replace("{listen}", &self.address())
            .replace("{data_dir}", &data_dir);
        fs::write(self.path(file), text).expect("the configuration can be written");
    }

    /// Returns a path inside the folder.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Returns the folder for the process' own data.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// Returns `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the URL of a path that begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// Starts the process and waits until `/-/ready` says 200.
    pub(crate) fn start(&mut self) {
        self.spawn();
        self.wait_ready();
    }

    /// Starts the process without waiting.
    pub(crate) fn spawn(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path());
        let log: File = log.expect("the log file can be written");
        let mut command = Command::new(&self.program);
        // The rig's own variables look like settings of the program under test.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("FATALMONITOR_") {
                command.env_remove(name);
            }
        }
        let child = command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn();
        let child = child.unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        note(child.id());
        self.child = Some(child);
    }

    /// Waits until `/-/ready` says 200; ends the test when the process ends before.
    pub(crate) fn wait_ready(&mut self) {
        let url = self.url("/-/ready");
        let name = self.name;
        eventually(&format!("{name} is ready"), PATIENCE, || {
            if let Some(status) = self.ended() {
                panic!(
                    "{name} ended ({status}) before it was ready:\n{}",
                    self.log_end()
                );
            }
            match http::get(&url) {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(format!("{} {}", answer.status, answer.text())),
                Err(error) => Err(error.to_string()),
            }
        });
    }

    /// Returns the exit status once the process has ended by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .as_mut()
            .and_then(|child| child.try_wait().expect("the process can be asked"))
    }

    /// Waits until the process has ended by itself, as after a refused configuration.
    pub(crate) fn wait_end(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let status = eventually(&what, PATIENCE, || {
            self.ended().ok_or_else(|| "it runs".to_owned())
        });
        self.forget();
        status
    }

    /// Kills the process at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().expect("the process can be killed");
            child.wait().expect("the process can be awaited");
        }
        self.forget();
    }

    /// Asks the process to end (SIGTERM) and returns its exit status.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let pid = self.pid().to_string();
        let asked = Command::new("sh")
            .args(["-c", "kill -TERM \"$1\"", "sh", &pid])
            .status();
        assert!(
            asked.is_ok_and(|status| status.success()),
            "{} could not be asked",
            self.name
        );
        self.wait_end()
    }

    /// Returns the pid of the running process.
    pub(crate) fn pid(&self) -> u32 {
        self.child
            .as_ref()
            .unwrap_or_else(|| panic!("{} does not run", self.name))
            .id()
    }

    /// Sends a GET request and returns the answer's JSON; any status but 200 ends the test.
    pub(crate) fn get_json(&self, path: &str) -> serde_json::Value {
        let url = self.url(path);
        let answer = http::get(&url).unwrap_or_else(|error| panic!("GET {url}: {error}"));
        assert_eq!(answer.status, 200, "GET {url}: {}", answer.text());
        answer.json()
    }

    /// Returns all that the process has printed so far, over all its starts.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.path("log")
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    fn forget(&mut self) {
        if let Some(child) = self.child.take()
            && let Some(folder) = children_folder()
        {
            fs::remove_file(folder.join(child.id().to_string())).ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- the end of the log of {}:\n{}",
                self.name,
                self.log_end()
            );
        }
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
        self.forget();
    }
}

/// Notes a child for `scripts/services down`, which ends it should this test be killed itself.
fn note(pid: u32) {
    let Some(folder) = children_folder() else {
        return;
    };
    let born = started_at(
        Path::new("/proc")
            .join(pid.to_string())
            .join("stat")
            .as_path(),
    );
    fs::create_dir_all(&folder).expect("the rig's folder can be written");
    fs::write(folder.join(pid.to_string()), born).expect("the rig's folder can be written");
}

/// Reads a process' start time, the 22nd field of its `stat`: the 20th after the name in brackets.
fn started_at(stat: &Path) -> String {
    let text = fs::read_to_string(stat).unwrap_or_default();
    let after_name = text.rsplit(") ").next().unwrap_or_default();
    after_name.split(' ').nth(19).unwrap_or_default().to_owned()
}

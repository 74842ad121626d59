//! The command line. Data goes to stdout; logs, progress and hints go to stderr.
//!
//! Exit codes are a contract: 0 pass or done, 1 findings, 2 trouble (usage, configuration, network),
//! 3 inconclusive, 75 stop and restart me, 130 interrupted.

mod args;
mod backtest;
mod backup;
mod check;
mod client;
mod demo;
mod deploys;
mod doctor;
mod fingerprint;
mod fix;
mod gate;
mod init;
mod new;
mod output;
mod planned;
mod progress;
mod replay;
mod report;
mod rollout_args;
mod serve;
mod stored;
mod timeline;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command};

/// What a command comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Pass, or done.
    Done,
    /// Findings: a gate that fails, rules that are wrong, a symptom said too late.
    Findings,
    /// Not enough to decide.
    Inconclusive,
    /// The process should be started again.
    Restart,
    /// A person pressed Ctrl-C.
    Interrupted,
}

impl Outcome {
    const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Findings => 1,
            Self::Inconclusive => 3,
            Self::Restart => 75,
            Self::Interrupted => 130,
        }
    }
}

/// Exit code of trouble: usage (clap's own), configuration, network.
const TROUBLE: u8 = 2;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    crate::node::logging(cli.log.as_deref(), matches!(cli.command, Command::Serve(_)));
    let outcome = match cli.command {
        Command::Serve(it) => serve::run(&it),
        Command::Demo(it) => demo::run(&it),
        Command::Init(it) => init::run(&it),
        Command::New(it) => new::run(&it),
        Command::Gate(it) => gate::run(&it),
        Command::Fix(it) => fix::run(&it),
        Command::Planned(it) => planned::run(&it),
        Command::Timeline(it) => timeline::run(&it),
        Command::Replay(it) => replay::run(&it),
        Command::Backtest(it) => backtest::run(&it),
        Command::Fingerprint(it) => fingerprint::run(&it),
        Command::Check(it) => check::run(&it),
        Command::Test(it) => check::test(&it),
        Command::Deploys(it) => deploys::run(&it),
        Command::Doctor(it) => doctor::run(&it),
        Command::Backup(it) => backup::backup(&it),
        Command::Restore(it) => backup::restore(&it),
    };
    match outcome {
        Ok(outcome) => ExitCode::from(outcome.code()),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::from(TROUBLE)
        }
    }
}

/// A reader such as `head` that has seen enough is no trouble.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|it| {
        let io = it
            .downcast_ref::<std::io::Error>()
            .map(std::io::Error::kind);
        let json = it.downcast_ref::<serde_json::Error>();
        io.or_else(|| json?.io_error_kind()) == Some(std::io::ErrorKind::BrokenPipe)
    })
}

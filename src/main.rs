//! The `fatalmonitor` program: reads its arguments, runs, and maps the result to an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    fatalmonitor::cli::main()
}

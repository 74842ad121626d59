//! Integration tests; those that need a service are ignored and run by `make test`.
#![cfg_attr(
    test,
    allow(
        clippy::print_stdout,
        clippy::too_many_lines,
        clippy::disallowed_methods,
        reason = "tests print the figures that they saw, tell a story in one function, and read the rig's variables"
    )
)]

#[cfg(test)]
mod browser;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod counting;
#[cfg(test)]
mod decode;
#[cfg(test)]
mod edges;
#[cfg(test)]
mod exact;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod incident;
#[cfg(test)]
mod letters;
#[cfg(test)]
mod load;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod services;
#[cfg(test)]
mod starts;

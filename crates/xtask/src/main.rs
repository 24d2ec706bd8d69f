//! `cargo xtask generate` writes what TypeScript and the docs take from Rust; `cargo test -p xtask` checks the tree's own rules.

#[path = "../../node/src/block.rs"]
#[expect(unreachable_pub, dead_code, reason = "the addon's own file: its constants are what is needed here")]
mod block;
mod blocks_schema;
mod blocks_ts;
mod generate;
mod hot_ts;
#[cfg(test)]
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

/// Root of the repository.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("crates/xtask is two levels below the root").to_owned()
}

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("generate") => match generate::write_all(&root()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("cannot write generated files: {e}");
                ExitCode::FAILURE
            }
        },
        other => {
            eprintln!("usage: cargo xtask generate (not {other:?})");
            ExitCode::FAILURE
        }
    }
}

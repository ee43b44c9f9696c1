//! The program: runs the command line and exits with its code.

use foobar::cli::{self, exit::Exit};

fn main() -> Exit {
    cli::main()
}

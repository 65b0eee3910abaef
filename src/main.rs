//! The `crossfade` program: parse, run, exit code; nothing else.

fn main() -> std::process::ExitCode {
    crossfade::cli::main()
}

//! The `crossfade` program: parse, run, exit code; nothing else.

/// A snapshot is a tree of many small strings and lists: with this allocator a large compile takes two thirds of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    crossfade::cli::main()
}

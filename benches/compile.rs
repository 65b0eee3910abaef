//! How long compiling takes.
fn main() {
    divan::main();
}
